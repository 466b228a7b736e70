"""SQLite connections for an event loop.

SQLite is a library, not a server: a statement that finds its rows by an index takes about as long
as the trip to a thread and back. So brief statements run right on the event
loop. What may take long goes to a thread: scans, large batches, and the commit, which waits for the
disk. Nor does the loop ever wait for another process's lock: it tries again a little later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.session import translated

T = TypeVar("T")

LOCK_PATIENCE = 30.0
"""How long a writer waits for other processes' transactions, in seconds."""

SHORTEST_WAIT, LONGEST_WAIT = 0.001, 0.02
"""How long a writer waits before it tries again for the lock, doubling, in seconds."""

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA wal_autocheckpoint = 4000",
)


def sqlite_engine(path: Path) -> Engine:
    """An engine that leaves the transactions to us."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": LOCK_PATIENCE, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        for pragma in PRAGMAS:
            connection.execute(pragma)

    return engine


class Line:
    """One connection, with a thread for what takes long. It has one user at a time."""

    def __init__(self, engine: Engine, *, writing: bool, name: str) -> None:
        self._engine = engine
        self._writing = writing
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: Connection | None = None
        self._began = False
        self._durable: bool | None = None  # not said yet
        self._aside: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Connect."""
        await self.aside(self._connect)

    def close(self) -> None:
        """Close the connection and let the thread end, once it has done what it was given."""
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def begin(self, durable: bool) -> None:  # there is no better word
        """Begin a transaction unless one is open; a writer takes the file's write lock.

        A durable commit survives a loss of power; one that is not could be forgotten then, though
        never through a mere crash of the process.
        """
        if self._began:
            return
        if self._writing:
            if durable is not self._durable:
                self.say(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            await self._take_lock()
        else:
            self.say("BEGIN")
        self._began = True

    def briefly(self, work: Callable[[Connection], T]) -> T:
        """Do something brief, here and now."""
        with translated():
            return work(self._known())

    async def aside(self, work: Callable[[], T]) -> T:
        """Do something that may take long, on the thread. If cancelled, it goes on there."""
        loop = asyncio.get_running_loop()
        with translated():
            self._aside = loop.run_in_executor(self._thread, work)
            return await asyncio.shield(self._aside)

    async def commit(self) -> None:
        """End the transaction and keep what it did; if it is to be durable, wait for the disk."""
        if not self._began:
            return
        if self._durable:
            await self.aside(lambda: self.say("COMMIT"))
        else:
            self.briefly(lambda connection: connection.exec_driver_sql("COMMIT"))
        self._began = False

    async def rest(self) -> None:
        """Make the line ready for its next user: what was not committed is undone."""
        if self._aside is not None and not self._aside.done():  # its caller was cancelled
            await asyncio.wait([self._aside])
        if self._began:
            self._began = False
            if self._is_open_in_driver():
                self.say("ROLLBACK")

    async def _take_lock(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LOCK_PATIENCE
        wait = SHORTEST_WAIT
        while True:
            try:
                self.say("BEGIN IMMEDIATE")
            except OperationalError as error:
                if "locked" not in str(error.orig):
                    with translated():
                        raise
                if loop.time() >= deadline:
                    raise Unavailable("the store", "another process keeps it locked") from error
            else:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def say(self, statement: str) -> None:
        """Execute a statement that answers nothing, here and now."""
        self._known().exec_driver_sql(statement)

    def _is_open_in_driver(self) -> bool:
        return bool(self._known().connection.driver_connection.in_transaction)  # type: ignore[union-attr]

    def _connect(self) -> None:
        self._connection = self._engine.connect()
        if self._writing:
            self.say("PRAGMA busy_timeout = 0")  # `_take_lock` waits instead
        else:
            self.say("PRAGMA query_only = ON")

    def _known(self) -> Connection:
        if self._connection is None:
            raise Unavailable("the store", "it is not open")
        return self._connection
