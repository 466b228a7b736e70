"""The store on SQLite: one writer, any number of readers, in write-ahead-log mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from cueline.application.ports.capabilities import Reach, StoreCapabilities
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import Unavailable
from cueline.infrastructure.retrying import retrying
from cueline.infrastructure.sql.joined import Guests
from cueline.infrastructure.sql.schema import upgrade
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.sqlite.line import Line, sqlite_engine
from cueline.infrastructure.sql.sqlite.session import SqliteTransaction
from cueline.infrastructure.sql.unit_of_work import Memory, SqlUnitOfWork, Transaction

READERS = 4

OPENING_PATIENCE = timedelta(seconds=15)


class SqliteStore(Store):
    """Keeps everything in one SQLite file.

    Writers of this process take turns on one connection, in order of arrival; writers of other
    processes are excluded by the file's lock, taken when the transaction begins. Readers see the
    last commit and wait for no writer.
    """

    capabilities = StoreCapabilities(Reach.MACHINE, is_durable=True, joins_transactions=True)

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = sqlite_engine(path)
        self._writers: asyncio.Queue[Line] = asyncio.Queue()
        self._readers: asyncio.Queue[Line] = asyncio.Queue()
        self._lines: list[Line] = []
        self._memory = Memory()
        self._guests = Guests("sqlite")

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
            writer.briefly(self._guests.live_in)
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
        return SqlUnitOfWork(lambda: self._begin(self._writers, durable=durable), self._memory)

    def read(self) -> UnitOfWork:
        """A unit of work that sees the database as it is at its first statement."""
        return SqlUnitOfWork(lambda: self._begin(self._readers), self._memory)

    async def prepare_to_join(self, queues: Collection[str]) -> None:
        """Nothing: while the caller writes, nobody else can."""

    def join(self, transaction: object, committed: Callable[[], None]) -> UnitOfWork:
        return SqlUnitOfWork(lambda: self._guests.join(transaction, committed), self._memory)

    @asynccontextmanager
    async def session(self, *, writing: bool = True) -> AsyncIterator[Session]:
        """A bare transaction for the broker beside the store; committed on leaving in peace.

        It is not durable: what a broker holds are hints.
        """
        transaction = await self._begin(self._writers if writing else self._readers, durable=False)
        try:
            yield transaction.session
            if writing:
                await transaction.commit()
        finally:
            await transaction.end()

    @staticmethod
    async def _begin(lines: asyncio.Queue[Line], *, durable: bool = True) -> Transaction:
        return SqliteTransaction(await lines.get(), lines, durable=durable)

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
