"""The store on SQLite: one writer, any number of readers, in write-ahead-log mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import Unavailable
from cueline.domain.workflow.definition import Workflow
from cueline.infrastructure.retrying import retrying
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.journal import SqlJournal
from cueline.infrastructure.sql.registry import SqlDefinitions, SqlQueues, SqlWorkers, SqlWorkflows
from cueline.infrastructure.sql.runs import SqlRuns
from cueline.infrastructure.sql.schema import upgrade
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.sqlite import Line, SqliteSession, sqlite_engine
from cueline.infrastructure.sql.tasks import SqlTasks

READERS = 4

OPENING_PATIENCE = timedelta(seconds=15)


class SqliteStore(Store):
    """Keeps everything in one SQLite file.

    Writers of this process take turns on one connection, in order of arrival; writers of other
    processes are excluded by the file's lock, taken when the transaction begins. Readers see the
    last commit and wait for no writer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = sqlite_engine(path)
        self._writers: asyncio.Queue[Line] = asyncio.Queue()
        self._readers: asyncio.Queue[Line] = asyncio.Queue()
        self._lines: list[Line] = []
        self._memory = Memory()

    async def open(self) -> None:
        """Create the file if need be, and bring its tables up to date."""
        if self._lines:
            return
        await asyncio.to_thread(self._make_folder)
        # Several processes may start at once on a new file. While one of them puts it into
        # write-ahead-log mode, SQLite refuses the others at once, whatever patience they asked for.
        async for attempt in retrying("open the store", when=_is_locked, within=OPENING_PATIENCE):
            with attempt:
                try:
                    await self._open()
                except BaseException:
                    await self.close()
                    raise

    async def _open(self) -> None:
        writer = await self._new_line(writing=True, name="cueline-writer")
        try:
            await writer.begin(durable=True)
            await writer.aside(lambda: writer.briefly(upgrade))
            await writer.commit()
        finally:
            await writer.rest()
        self._writers.put_nowait(writer)
        for number in range(READERS):
            reader = await self._new_line(writing=False, name=f"cueline-reader-{number}")
            self._readers.put_nowait(reader)

    async def close(self) -> None:
        """Close the connections. The store may be opened again."""
        lines, self._lines = self._lines, []
        self._writers, self._readers = asyncio.Queue(), asyncio.Queue()
        for line in lines:
            await asyncio.to_thread(line.close)

    def write(self, *, durable: bool = True) -> UnitOfWork:
        """A unit of work that holds the database's write lock from its first statement on."""
        return SqlUnitOfWork(self._writers, self._memory, durable=durable)

    def read(self) -> UnitOfWork:
        """A unit of work that sees the database as it is at its first statement."""
        return SqlUnitOfWork(self._readers, self._memory)

    @asynccontextmanager
    async def session(self, *, writing: bool = True) -> AsyncIterator[Session]:
        """A bare transaction for the broker beside the store; committed on leaving in peace.

        It is not durable: what a broker holds are hints.
        """
        lines = self._writers if writing else self._readers
        async with SqlUnitOfWork(lines, self._memory, durable=False) as uow:
            yield uow.session
            if writing:
                await uow.commit()

    async def _new_line(self, *, writing: bool, name: str) -> Line:
        line = Line(self._engine, writing=writing, name=name)
        self._lines.append(line)
        await line.open()
        return line

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable("the store", f"cannot make {self.path.parent}: {error}") from error


def _is_locked(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and "locked" in str(error)


class Memory:
    """What a process may remember of the database because it can never become false."""

    def __init__(self) -> None:
        self.documents: dict[str, Workflow] = {}
        self.queues: set[str] = set()


class SqlUnitOfWork(UnitOfWork):
    """One transaction, on a line that it has alone."""

    def __init__(self, lines: asyncio.Queue[Line], memory: Memory, *, durable: bool = True) -> None:
        self._lines = lines
        self._durable = durable
        self._memory = memory
        self._line: Line | None = None

    async def __aenter__(self) -> Self:
        self._line = await self._lines.get()
        self.session = session = SqliteSession(self._line, durable=self._durable)
        documents = Documents(session, self._memory.documents)
        self._new_queues: set[str] = set()
        self.tasks = SqlTasks(session, self._memory.queues, self._new_queues)
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
        line, self._line = self._line, None
        if line is None:
            return
        # Shielded: a cancelled caller must not leave a transaction open, or the line behind.
        ending = asyncio.ensure_future(line.rest())
        ending.add_done_callback(lambda _: self._lines.put_nowait(line))
        await asyncio.shield(ending)

    async def commit(self) -> None:
        """Make it permanent."""
        if self._line is None:
            raise RuntimeError("the unit of work is not open")
        await self._line.commit()
        self._memory.queues |= self._new_queues
