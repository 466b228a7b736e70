"""Connections to a Redis server, each used by one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from redis.asyncio import Connection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

Command: TypeAlias = Sequence[str | bytes | int | float]

MOST_IDLE = 16
"""How many connections are kept while nobody uses them."""


class Line:
    """A connection of the library's, without what its client does around each command.

    That costs more than the command. After whatever goes wrong but an error that the server
    answers, the connection is closed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, *commands: Command) -> list[Any]:
        """What commands answer that are sent together. Others may come between them.

        If some of them answer an error, the first of these is raised once all have answered.
        """
        await self.send(*commands)
        answers: list[Any] = []
        refused: ResponseError | None = None
        for _ in commands:
            try:
                answers.append(await self.read())
            except ResponseError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return answers

    async def send(self, *commands: Command) -> None:
        """Send commands, each of which will have its answer read."""
        packed = self._connection.pack_commands(commands)
        await self._connection.send_packed_command(packed)

    async def read(self) -> Any:
        """The next answer."""
        return await self._connection.read_response()

    async def open(self) -> None:
        """Connect."""
        await self._connection.connect()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Disconnect. Closing twice is closing once."""
        with suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    @property
    def is_open(self) -> bool:
        """Whether nothing has gone wrong yet."""
        return bool(self._connection.is_connected)

    async def is_quiet(self) -> bool:
        """Whether it may be used once more: the server has not closed it, nor said anything."""
        try:
            return self.is_open and not await self._connection.can_read()
        except RedisError:
            return False


class Lines:
    """Up to so many connections. The one used last is taken first; few are kept."""

    def __init__(self, pool: ConnectionPool, most: int) -> None:
        self._pool = pool  # knows how to make a connection
        self._permits = asyncio.Semaphore(most)
        self._idle: list[Line] = []
        self._closings = 0

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        """A connection for a while."""
        async with self._permits:
            closings = self._closings
            line = await self._take()
            try:
                yield line
            finally:
                if line.is_open and closings == self._closings and len(self._idle) < MOST_IDLE:
                    self._idle.append(line)
                else:
                    await line.close()

    async def close(self) -> None:
        """Close those that are idle, and the others as soon as they are."""
        self._closings += 1
        idle, self._idle = self._idle, []
        for line in idle:
            await line.close()

    async def _take(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if await line.is_quiet():
                return line
            await line.close()
        line = Line(self._pool.make_connection())  # type: ignore[no-untyped-call]
        await line.open()
        return line
