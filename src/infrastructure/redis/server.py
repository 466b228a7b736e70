"""A Redis server, as one adapter sees it: whether it answers, and what it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from cueline.domain.errors import Unavailable
from cueline.infrastructure.redis.lines import Command, Line, Lines
from cueline.infrastructure.retrying import retrying

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

CONNECT_TIMEOUT = 2.0
COMMAND_TIMEOUT = 3.0
"""How long a server may take to answer a command before it counts as away, in seconds.

Waiting for one of the `MOST_CONNECTIONS` is in it.
"""

MOST_CONNECTIONS = 16
"""Of one adapter. Commands take them in turns, each for a round trip."""

MOST_BLOCKED = 10_000
"""Connections of one adapter on which something waits: one for each that does."""

_USUAL: Mapping[str, Any] = {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_keepalive": True}
_NEEDED: Mapping[str, Any] = {
    "protocol": 2,
    "decode_responses": False,
    "socket_timeout": None,
    "retry": Retry(NoBackoff(), 0),
}
"""Whatever an address says. Commands are timed here: the library's limit makes a task of each on
Python 3.11. And it does not try again, as who waits here could work instead.
"""


class Server:
    """Carries commands to a server over some connections, and knows whether it answers.

    The first command that fails speaks for all: until the server answers again, commands are
    refused at once with `Unavailable`, and one task in the background tries to reach it. `noted`
    is told of each change. A server that answers, but refuses a command, is `Unavailable` for that
    command only.
    """

    def __init__(
        self, url: str, name: str, role: str, noted: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._role = role
        self._noted = noted
        pool = ConnectionPool(**{**_USUAL, **parse_url(url), **_NEEDED, "client_name": name})
        self._redis = Redis(connection_pool=pool)  # for listening
        self._commands = Lines(pool, MOST_CONNECTIONS)
        self._blocked = Lines(pool, MOST_BLOCKED)
        self._answering = asyncio.Event()
        self._known = asyncio.Event()
        self._away_because = "it is not open"
        self._return: asyncio.Task[None] | None = None
        self._returns = 0

    async def open(self) -> None:
        """Connect; return once it is known whether the server answers, or soon anyway."""
        self._away_because = "it has not answered yet"
        self._begin_return()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._known.wait(), CONNECT_TIMEOUT)

    async def close(self) -> None:
        """Disconnect. Closing twice is closing once."""
        if self._return is not None:
            await end(self._return)
            self._return = None
        self._away_because = "it is closed"
        self._answering.clear()
        self._known.clear()
        await self._disconnect()

    async def ask(self, command: Callable[[Line], Awaitable[Answer]]) -> Answer:
        """What the command answers; `Unavailable` if it could not be carried out."""
        return await self._ask(command, self._commands, COMMAND_TIMEOUT)

    async def tell(self, *commands: Command) -> list[Any]:
        """What commands answer that are sent together."""
        return await self.ask(lambda line: line.ask(*commands))

    async def ask_blocking(
        self, command: Callable[[Line], Awaitable[Answer]], seconds: float
    ) -> Answer:
        """`ask` for what may take the server so many seconds."""
        return await self._ask(command, self._blocked, seconds + COMMAND_TIMEOUT)

    async def _ask(
        self, command: Callable[[Line], Awaitable[Answer]], lines: Lines, seconds: float
    ) -> Answer:
        if not self._answering.is_set():
            raise Unavailable(self._role, self._away_because)
        returns = self._returns
        try:
            async with asyncio.timeout(seconds), lines.line() as line:
                return await command(line)
        except (RedisError, OSError) as error:
            is_away = not isinstance(error, ResponseError) or isinstance(error, ReadOnlyError)
            if is_away and returns == self._returns:  # else it tells of what is over
                self.lost(error)
            raise Unavailable(self._role, _why(error)) from error

    def pubsub(self) -> PubSub:
        """A connection for listening, not open yet."""
        return self._redis.pubsub()

    @property
    def is_answering(self) -> bool:
        """Whether the server answers, as far as is known."""
        return self._answering.is_set()

    async def answering(self) -> None:
        """Return as soon as the server answers."""
        await self._answering.wait()

    def lost(self, error: BaseException) -> None:
        """Note that the server did not answer, and begin to look for its return."""
        if self._answering.is_set():
            self._note_away(error)
            self._begin_return()

    async def _disconnect(self) -> None:
        for lines in (self._commands, self._blocked):
            await lines.close()

    def _begin_return(self) -> None:
        if self._return is None or self._return.done():
            self._return = asyncio.create_task(self._reach(), name="redis-reach")

    async def _reach(self) -> None:
        """Try until the server answers."""
        async for attempt in retrying("reach Redis", when=is_trouble, within=None):
            with attempt:
                try:
                    # Connections that have idled since may lead nowhere any more.
                    await self._disconnect()
                    async with asyncio.timeout(COMMAND_TIMEOUT):
                        async with self._commands.line() as line:
                            await line.ask(("PING",))
                except (RedisError, OSError) as error:
                    self._note_away(error)
                    raise
        log.info("%s answers (Redis)", self._role)
        self._returns += 1
        self._known.set()
        self._answering.set()
        self._noted(True)

    def _note_away(self, error: BaseException) -> None:
        changed = self._answering.is_set() or not self._known.is_set()
        self._away_because = _why(error)
        self._known.set()
        self._answering.clear()
        if changed:
            log.warning("%s does not answer (Redis): %s", self._role, self._away_because)
            self._noted(False)


def _why(error: BaseException) -> str:
    return str(error) or "it takes too long"


def is_trouble(error: BaseException) -> bool:
    """Whether the server or the way to it is at fault, so that trying again may help."""
    return isinstance(error, RedisError | OSError)


def is_spoilt(error: ResponseError) -> bool:
    """Whether there is something under a key that we would never have put there."""
    return "WRONGTYPE" in str(error) or "not an integer" in str(error)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    # On Python 3.11 a time limit that is over in the same turn can swallow a cancellation: insist.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
