"""The tables of a PostgreSQL store: made by the migrations, once, as `tables` describes them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.schema import SCHEMA_VERSION
from cueline.infrastructure.sql.tables import metadata

PATIENCE = 30.0
"""How long anything may take, in seconds."""

INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND indexname NOT LIKE 'alembic%'"

COLUMNS = """
    SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, collation_name
    FROM information_schema.columns
    WHERE table_schema = $1 AND table_name <> 'alembic_version'
"""


@pytest.fixture
async def engine(postgres_store_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections to a store's database; in the schema `described` lie the tables of `tables`."""
    engine = create_async_engine(postgres_store_url.replace("postgresql", "postgresql+asyncpg", 1))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE SCHEMA described")
        await connection.exec_driver_sql("SET LOCAL search_path TO described")
        await connection.run_sync(metadata.create_all, checkfirst=False)
    yield engine
    await engine.dispose()


@pytest.fixture
async def connection(postgres_store_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres_store_url)
    yield connection
    await connection.close()


async def open_and_close(url: str) -> None:
    store = PostgresStore(url)
    try:
        await store.open()
    finally:
        await store.close()


async def version_of(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    return [row[0] for row in await connection.fetch("SELECT version_num FROM alembic_version")]


async def test_the_migrations_make_the_tables_that_are_described(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migrations_make_the_columns_that_are_described(
    engine: AsyncEngine, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    made, described = [
        {tuple(row) for row in await connection.fetch(COLUMNS, schema)}
        for schema in ("public", "described")
    ]
    assert made == described
    assert len(made) == sum(len(table.columns) for table in metadata.tables.values())


async def test_the_migrations_make_the_indexes_that_are_described(
    engine: AsyncEngine, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    # Alembic does not compare the conditions of partial indexes: their SQL is compared here.
    made, described = [
        {row[0].replace(f" {schema}.", " ") for row in await connection.fetch(INDEXES, schema)}
        for schema in ("public", "described")
    ]
    assert made == described
    assert any("WHERE" in index for index in made)


async def test_what_is_sorted_and_looked_up_goes_by_its_code_points(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    # By the database's language, the order would be another one on each, and not that of SQLite.
    rows = await connection.fetch(COLUMNS, "public")
    kept = {row["collation_name"] for row in rows if row["data_type"] == "character varying"}
    assert kept == {"C"}


async def test_the_messages_alone_are_not_written_ahead(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    query = "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'"
    assert [row[0] for row in await connection.fetch(query)] == ["messages"]


async def test_a_new_database_has_the_newest_version_and_keeps_it(
    postgres_store_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    assert await version_of(connection) == [SCHEMA_VERSION]
    before = await connection.fetch(COLUMNS, "public")
    await open_and_close(postgres_store_url)
    assert await version_of(connection) == [SCHEMA_VERSION]
    assert await connection.fetch(COLUMNS, "public") == before


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    postgres_store_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = await connection.fetch(COLUMNS, "public")
    with pytest.raises(Unavailable, match="version 9999, newer than this program"):
        await open_and_close(postgres_store_url)
    assert await version_of(connection) == ["9999"]
    assert await connection.fetch(COLUMNS, "public") == before


OPENING = """
import asyncio, sys
from cueline.infrastructure.sql.postgres.store import PostgresStore

async def main():
    store = PostgresStore(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    async with store.read() as uow:
        print(len(await uow.queues.list_all()))
    await store.close()

asyncio.run(main())
"""


async def test_processes_that_open_a_new_database_at_once_all_succeed(postgres_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, postgres_url],
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
    connection = await asyncpg.connect(postgres_url)
    assert await version_of(connection) == [SCHEMA_VERSION]
    await connection.close()
