"""The store on SQLite: one writer, any number of readers, in write-ahead-log mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.workflow.definition import Workflow
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.journal import SqlJournal
from cueline.infrastructure.sql.registry import SqlDefinitions, SqlQueues, SqlWorkers, SqlWorkflows
from cueline.infrastructure.sql.runs import SqlRuns
from cueline.infrastructure.sql.schema import upgrade
from cueline.infrastructure.sql.session import Session, translated
from cueline.infrastructure.sql.tasks import SqlTasks

READERS = 4
LOCK_PATIENCE = 30.0
"""How long a writer waits for another process's transaction, in seconds."""

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # FULL: a commit that was answered survives a loss of power. NORMAL would be faster and could
    # lose the last moments then, though never to a mere crash of the process.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA wal_autocheckpoint = 4000",
)


class SqliteStore(Store):
    """Keeps everything in one SQLite file.

    Writers of this process take turns on one connection, in order of arrival; writers of other
    processes are excluded by the file's lock, taken when the transaction begins. Readers see the
    last commit and wait for nobody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writers = _engine(path, begin="BEGIN IMMEDIATE", connections=1)
        self._readers = _engine(path, begin="BEGIN", connections=READERS)
        self._turn = asyncio.Lock()
        self._documents: dict[str, Workflow] = {}
        self._queues: set[str] = set()

    async def open(self) -> None:
        """Create the file if need be, and bring its tables up to date."""
        await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
        with translated():
            async with self._writers.connect() as connection, connection.begin():
                await connection.run_sync(upgrade)

    async def close(self) -> None:
        """Close the connections. The store may be opened again."""
        await self._readers.dispose()
        await self._writers.dispose()

    def write(self) -> UnitOfWork:
        """A unit of work that holds the database's write lock while it is open."""
        return SqlUnitOfWork(self._writers, self._documents, self._queues, self._turn)

    def read(self) -> UnitOfWork:
        """A unit of work that sees the database as it is when it begins to read."""
        return SqlUnitOfWork(self._readers, self._documents, self._queues, None)

    @asynccontextmanager
    async def session(self, *, writing: bool = True) -> AsyncIterator[Session]:
        """A bare transaction for the broker beside the store; committed on leaving in peace."""
        async with SqlUnitOfWork(
            self._writers if writing else self._readers,
            self._documents,
            self._queues,
            self._turn if writing else None,
        ) as uow:
            yield uow.session
            if writing:
                await uow.commit()


class SqlUnitOfWork(UnitOfWork):
    """One transaction on one pooled connection."""

    def __init__(
        self,
        engine: AsyncEngine,
        documents: dict[str, Workflow],
        queues: set[str],
        turn: asyncio.Lock | None,
    ) -> None:
        self._engine = engine
        self._known_documents = documents
        self._known_queues = queues
        self._turn = turn
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        if self._turn is not None:
            await self._turn.acquire()
        try:
            with translated():
                self._connection = await self._engine.connect()
                self._transaction = await self._connection.begin()
        except BaseException:
            await self._leave()
            raise
        self.session = session = Session(self._connection)
        documents = Documents(session, self._known_documents)
        self._tasks = SqlTasks(session, self._known_queues)
        self.tasks = self._tasks
        self.runs = SqlRuns(session, documents)
        self.workflows = SqlWorkflows(session, documents)
        self.definitions = SqlDefinitions(session)
        self.queues = SqlQueues(session)
        self.workers = SqlWorkers(session)
        self.journal = SqlJournal(session)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()

    async def commit(self) -> None:
        """Make it permanent."""
        if self._connection is None:
            raise RuntimeError("the unit of work is not open")
        with translated():
            await self._connection.commit()
        self._known_queues |= self._tasks.new_queues

    async def _leave(self) -> None:
        """Roll back what was not committed, and give up the connection and the turn.

        It is shielded: a cancelled caller must not leave the write lock behind.
        """
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with translated():
                    await asyncio.shield(connection.close())
        finally:
            if self._turn is not None:
                self._turn.release()


def _engine(path: Path, *, begin: str, connections: int) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": LOCK_PATIENCE},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it does so too late and only for writes.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
