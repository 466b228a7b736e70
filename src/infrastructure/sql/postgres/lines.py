"""Connections that are kept open for one purpose, and what they fail with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.session import first_line, is_transient, translated

if TYPE_CHECKING:
    Driver: TypeAlias = asyncpg.Connection[asyncpg.Record]

PATIENCE = 30.0
"""How long a caller waits for a connection while all are in use, in seconds."""

RECYCLE = 1800.0
"""After how many seconds a connection is replaced: proxies drop those that are old."""


@dataclass(slots=True, eq=False)
class Line:
    """A connection, reached in two ways: what is fixed goes to the driver, the rest through Core.

    SQLAlchemy is told that the connection commits by itself, so that it never says BEGIN or
    ROLLBACK of its own: transactions are the driver's business alone.
    """

    connection: AsyncConnection
    driver: Driver
    made_at: float = field(default_factory=monotonic)
    has_served_core: bool = False
    """Whether SQLAlchemy has something to end since the connection was taken: mostly not."""

    @property
    def is_good(self) -> bool:
        """Whether it may be used once more."""
        return not self.driver.is_closed() and monotonic() - self.made_at < RECYCLE


class Lines:
    """Up to so many connections of an engine. The one used last is taken first.

    SQLAlchemy's pool looks after them but for one thing: going through it for each transaction
    costs as much as the transaction.
    """

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self._engine = engine
        self._autonomous = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._permits = asyncio.Semaphore(most)
        self._idle: list[Line] = []

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection for a while. `Unavailable` if there is none to be had."""
        line = await self.take()
        try:
            yield line
        finally:
            await asyncio.shield(asyncio.ensure_future(self.give_back(line)))

    async def take(self) -> Line:
        """A connection, to be given back. `Unavailable` if there is none to be had."""
        if self._permits.locked():
            with driving():
                async with asyncio.timeout(PATIENCE):
                    await self._permits.acquire()
        else:
            await self._permits.acquire()  # at once
        try:
            while self._idle:
                if (line := self._idle.pop()).is_good:
                    return line
                await _part_from(line)
            with translated():
                return await self._connect()
        except BaseException:
            self._permits.release()
            raise

    async def give_back(self, line: Line) -> None:
        """Return a connection, its transaction ended; what is broken is dropped."""
        try:
            if line.driver.is_closed() or (line.has_served_core and line.connection.invalidated):
                await _part_from(line)
                return
            if line.has_served_core:
                await line.connection.rollback()  # says nothing to the server
                line.has_served_core = False
            self._idle.append(line)
        finally:
            self._permits.release()

    async def close(self) -> None:
        """Close the connections that are idle, and those of the engine."""
        idle, self._idle = self._idle, []
        for line in idle:
            await _part_from(line)
        await self._engine.dispose()

    async def _connect(self) -> Line:
        connection = await self._autonomous.connect()
        pooled = await connection.get_raw_connection()
        return Line(connection, cast("Driver", pooled.driver_connection))


async def _part_from(line: Line) -> None:
    """Have a connection closed, not kept by the engine's pool."""
    with translated():
        await line.connection.invalidate()
        await line.connection.close()


@contextmanager
def driving() -> Iterator[None]:
    """Raise `Unavailable` for what the driver raises when the server does not answer."""
    try:
        yield
    except ValueError:  # the driver's, too, if it cannot send a value: no other try will help
        raise
    except asyncpg.InvalidCachedStatementError as error:  # the tables were migrated meanwhile
        raise Unavailable("the store", first_line(error)) from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise Unavailable("the store", first_line(error)) from error
    except asyncpg.PostgresError as error:
        if is_transient(error.sqlstate):
            raise Unavailable("the store", first_line(error)) from error
        raise
