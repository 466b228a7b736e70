"""Reading all that a store holds once everything has come to its end."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.questions import Page, RunFilter, TaskFilter
from cueline.infrastructure.memory.tables import Tables
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.settings import Settings
from tests.integration.failpoints.changes import CREATE, SELECT, Changes

EVERYTHING = Page(limit=100_000)


async def prepare(settings: Settings) -> None:
    """Make the tables of a store, and the one for what is noted in it."""
    async with _opened(settings) as store, store.session() as session:
        await session.execute(text(CREATE[settings.store_kind]))


async def read(settings: Settings) -> tuple[Sequence[Changes], Tables]:
    """What was noted, in order, and the rows as they are."""
    async with _opened(settings) as store:
        async with store.session(writing=False) as session:
            noted = [pickle.loads(row[0]) for row in await session.scan(text(SELECT))]
        async with store.read() as uow:
            return noted, await _tables(uow)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[SqliteStore | PostgresStore]:
    store: SqliteStore | PostgresStore
    if settings.store_kind == "sqlite":
        store = SqliteStore(Path(settings.sqlite_path))
    else:
        store = PostgresStore(settings.store, 1)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def _tables(uow: UnitOfWork) -> Tables:
    """All tasks and runs, with their attempts and histories, as the adapter reads them."""
    tables = Tables()
    now = datetime.now(UTC)
    for task in await uow.tasks.search(TaskFilter(), EVERYTHING, now):
        tables.tasks.put(task.id, task)
        for attempt in await uow.journal.attempts(task.id):
            tables.attempts.put((attempt.task_id, attempt.number), attempt)
    for run in await uow.runs.search(RunFilter(), EVERYTHING):
        tables.runs.put(run.id, run)
        for event in await uow.runs.history(run.id, 0, EVERYTHING.limit):
            tables.history.put((event.id, event.sequence), event)
    return tables
