"""The tables of a SQLite store: made by the migrations, once, as `tables` describes them."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.schema import SCHEMA_VERSION
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.sql.tables import metadata
from tests.factories import a_task

PATIENCE = 30.0
"""How long anything may take, in seconds."""


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A store's file, made by the migrations."""
    path = tmp_path / "cueline.db"
    await open_and_close(path)
    return path


async def open_and_close(path: Path) -> None:
    store = SqliteStore(path)
    try:
        await store.open()
    finally:
        await store.close()


def statements(path: Path) -> dict[str, str]:
    """What made each table and index, as SQLite remembers it, with single spaces and no quotes."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(query).fetchall()
    return {name: " ".join(sql.replace('"', "").split()) for name, sql in found}


def indexes(path: Path) -> dict[str, str]:
    return {name: sql for name, sql in statements(path).items() if "INDEX" in sql}


def version_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]


def test_the_version_is_that_of_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "cueline.infrastructure.sql:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_the_migrations_make_the_tables_that_are_described(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_the_migrations_make_the_indexes_that_are_described(file: Path, tmp_path: Path) -> None:
    # Alembic does not compare the conditions of partial indexes: their SQL is compared here.
    described = tmp_path / "described.db"
    engine = create_engine(f"sqlite:///{described}")
    metadata.create_all(engine)
    engine.dispose()
    assert indexes(file) == indexes(described)
    assert any("WHERE" in sql for sql in indexes(file).values())


def test_a_new_file_has_the_newest_version(file: Path) -> None:
    assert version_of(file) == [SCHEMA_VERSION]


async def test_opening_again_changes_nothing_and_loses_nothing(file: Path) -> None:
    before = statements(file)
    task = a_task()
    store = SqliteStore(file)
    for _ in range(2):  # the same store, then a new one
        await store.open()
        await store.open()
        async with store.write() as uow:
            await uow.tasks.add_many([task])
            await uow.commit()
        async with store.read() as uow:
            assert await uow.tasks.get_many([task.id]) == [task]
        await store.close()
        store = SqliteStore(file)
    assert statements(file) == before
    assert version_of(file) == [SCHEMA_VERSION]


async def test_stores_that_open_a_new_file_at_once_find_it_made_once(tmp_path: Path) -> None:
    path = tmp_path / "cueline.db"
    await asyncio.gather(*(open_and_close(path) for _ in range(4)))
    assert version_of(path) == [SCHEMA_VERSION]


OPENING = """
import asyncio, sys
from pathlib import Path
from cueline.infrastructure.sql.sqlite.store import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    async with store.read() as uow:
        print(len(await uow.queues.list_all()))
    await store.close()

asyncio.run(main())
"""


def test_processes_that_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "cueline.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:  # all are loaded: now they go, as nearly at once as can be
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert version_of(path) == [SCHEMA_VERSION]


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = statements(file)
    with pytest.raises(Unavailable, match="version 9999, newer than this program"):
        await open_and_close(file)
    assert version_of(file) == ["9999"]
    assert statements(file) == before


async def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "of" / "cueline.db"
    await open_and_close(path)
    assert version_of(path) == [SCHEMA_VERSION]


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot make"):
        await open_and_close(tmp_path / "file" / "below" / "cueline.db")


async def test_a_folder_in_the_files_place_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "cueline.db").mkdir()
    with pytest.raises(Unavailable, match="the store does not answer"):
        await open_and_close(tmp_path / "cueline.db")
