"""The store on PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from time import monotonic

from sqlalchemy import Connection, text

from cueline.application.ports.capabilities import Reach, StoreCapabilities
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.joined import Guests
from cueline.infrastructure.sql.postgres.clock import DatabaseClock
from cueline.infrastructure.sql.postgres.connecting import answers_alone, postgres_engine
from cueline.infrastructure.sql.postgres.lines import Lines, driving
from cueline.infrastructure.sql.postgres.optimistic import OptimisticTransaction
from cueline.infrastructure.sql.postgres.session import PostgresTransaction
from cueline.infrastructure.sql.postgres.stalled import end_stalled_forever
from cueline.infrastructure.sql.schema import upgrade
from cueline.infrastructure.sql.session import Session, translated
from cueline.infrastructure.sql.unit_of_work import Memory, SqlUnitOfWork, Transaction

log = logging.getLogger(__name__)

CONNECTIONS = 10
"""How many connections a process may have open for each of the three purposes: `PostgresStore`."""

CLOCK_INTERVAL = 15.0
"""How often the database's time is asked for, in seconds."""

MIGRATION_LOCK = 0x6375656C696E65
"""The advisory lock that a process holds while it migrates: `cueline` in ASCII."""


ROW_BY_ROW = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""How writers have their plans: each row that is named is found by an index, in the order given.

Left to itself, PostgreSQL reads a small table whole and locks the rows as they lie there; two
batches that name the same tasks would then wait for one another in a circle. As the plan never
depends on what is asked for, it is made once for each statement of a connection.
"""


class PostgresStore(Store):
    """Keeps everything in a PostgreSQL database, which any number of processes may share.

    Transactions are READ COMMITTED; a reader has no transaction at all, each of its statements sees
    what was committed when it began. There is a pool of connections for durable writing, one for
    writing that need not wait for the disk, and one for reading, so that none keeps the others
    waiting and nothing has to be said at the beginning of a transaction.
    """

    capabilities = StoreCapabilities(Reach.NETWORK, is_durable=True, joins_transactions=True)

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        self._engine = postgres_engine(url, connections, synchronous_commit="on", **ROW_BY_ROW)
        relaxed = postgres_engine(url, connections, synchronous_commit="off", **ROW_BY_ROW)
        reading = postgres_engine(url, connections, default_transaction_read_only="on")
        self._durable = Lines(self._engine, connections)
        self._relaxed = Lines(relaxed, connections)
        self._reading = Lines(reading, connections)
        self._answers_alone = answers_alone(url)
        self._memory = Memory()
        self._guests = Guests("postgresql")
        self._background: list[asyncio.Task[None]] = []
        self.clock = DatabaseClock()
        """The database's time."""

    async def open(self) -> None:
        """Bring the tables up to date, and learn the time."""
        if self._background:
            return
        with translated():
            async with self._engine.begin() as connection:
                await connection.run_sync(_upgrade_alone)
                await connection.run_sync(self._guests.live_in)
        await self._measure_clock()
        self._background = [
            asyncio.create_task(self._watch_clock(), name="database-clock"),
            asyncio.create_task(end_stalled_forever(self._reading), name="database-stalled"),
        ]

    async def close(self) -> None:
        """Close the connections. The store may be opened again."""
        background, self._background = self._background, []
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        for lines in (self._durable, self._relaxed, self._reading):
            await lines.close()

    def write(self, *, durable: bool = True) -> UnitOfWork:
        lines = self._durable if durable else self._relaxed
        return SqlUnitOfWork(lambda: _begin(lines), self._memory)

    def at_once(self) -> UnitOfWork:
        return SqlUnitOfWork(self._without_transaction, self._memory)

    def optimistic(self) -> UnitOfWork:
        return SqlUnitOfWork(self._in_one_go, self._memory)

    def read(self) -> UnitOfWork:
        return SqlUnitOfWork(self._begin_to_read, self._memory)

    async def prepare_to_join(self, queues: Collection[str]) -> None:
        """Note the names: were they first written by the caller, others would wait for its end."""
        if new := set(queues) - self._memory.queues:
            async with SqlUnitOfWork(lambda: _begin(self._relaxed), self._memory) as uow:
                await uow.queues.note(new)
                await uow.commit()

    def join(self, transaction: object, committed: Callable[[], None]) -> UnitOfWork:
        return SqlUnitOfWork(lambda: self._guests.join(transaction, committed), self._memory)

    @asynccontextmanager
    async def session(self, *, writing: bool = True) -> AsyncIterator[Session]:
        """For one statement of the broker beside the store, which needs no transaction.

        It is not durable: what a broker holds are hints.
        """
        if writing:
            transaction: Transaction = PostgresTransaction(
                await self._relaxed.take(), self._relaxed
            )
        else:
            transaction = await self._begin_to_read()
        try:
            yield transaction.session
        finally:
            await transaction.end()

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_INTERVAL)
            try:
                await self._measure_clock()
            except Unavailable as error:
                log.debug("the database's time is not known anew: %s", error)

    async def _measure_clock(self) -> None:
        with driving():
            async with self._reading.line() as line:
                asked = monotonic()
                answer = await line.driver.fetchval("SELECT clock_timestamp()")
                self.clock.measured(answer, asked, monotonic())

    async def _without_transaction(self) -> Transaction:
        return PostgresTransaction(await self._durable.take(), self._durable)

    async def _in_one_go(self) -> Transaction:
        return OptimisticTransaction(await self._durable.take(), self._durable)

    async def _begin_to_read(self) -> Transaction:
        """What reads has no transaction, but where a pooler lends connections for one."""
        if not self._answers_alone:
            return await _begin(self._reading)
        return PostgresTransaction(await self._reading.take(), self._reading)


async def _begin(lines: Lines) -> Transaction:
    transaction = PostgresTransaction(await lines.take(), lines)
    try:
        await transaction.begin()
    except BaseException:
        await transaction.end()
        raise
    return transaction


def _upgrade_alone(connection: Connection) -> None:
    """Migrate, while no other process does."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    upgrade(connection)
