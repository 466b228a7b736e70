"""Connections to a Redis server, each used by one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from redis.asyncio import Connection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

Command: TypeAlias = Sequence[str | bytes | int | float]


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
    """Up to so many connections. The one used last is taken first."""

    def __init__(self, pool: ConnectionPool, most: int) -> None:
        self._pool = pool  # knows how to make a connection
        self._permits = asyncio.Semaphore(most)
        self._idle: list[Line] = []

    async def take(self) -> Line:
        """A connection, to be given back."""
        await self._permits.acquire()
        try:
            while self._idle:
                line = self._idle.pop()
                if await line.is_quiet():
                    return line
                await line.close()
            line = Line(self._pool.make_connection())  # type: ignore[no-untyped-call]
            await line.open()
            return line
        except BaseException:
            self._permits.release()
            raise

    def give_back(self, line: Line) -> None:
        """Return a connection."""
        self._permits.release()
        if line.is_open:
            self._idle.append(line)

    async def close(self) -> None:
        """Close those that are idle."""
        idle, self._idle = self._idle, []
        for line in idle:
            with suppress(RedisError, OSError):
                await line.close()
