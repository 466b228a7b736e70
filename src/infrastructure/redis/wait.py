"""Waiting at the server, which hands what comes to whoever has waited longest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import ResponseError

from cueline.domain.errors import Unavailable
from cueline.infrastructure.redis.lines import Command, Line
from cueline.infrastructure.redis.server import Server, is_spoilt

INSISTENCE = 0.05
"""How often the server is asked to end a wait that goes on, in seconds."""


@dataclass(frozen=True, slots=True)
class Popped:
    """What was taken off a sorted set: members, each with its score as Redis writes it."""

    key: str
    members: Sequence[Sequence[bytes]]


class Wait:
    """A wait for what comes to the first of some sorted sets; the lowest of it, up to `most`.

    The server is told nothing more of what it hands over: it is gone if nobody looks at it.
    """

    def __init__(self, server: Server, keys: Sequence[str], most: int, seconds: float) -> None:
        self._server = server
        self._seconds = seconds
        self._pop: Command = ("BZMPOP", seconds, len(keys), *keys, "MIN", "COUNT", most)
        self._client: int | None = None  # by what number the server knows us
        self._over = asyncio.Event()

    async def __call__(self) -> Popped | None:
        """What came; None if nothing did. `Unavailable` if the server does not answer."""
        try:
            return await self._server.ask_blocking(self._wait, self._seconds)
        finally:
            self._over.set()

    async def give_up(self) -> None:
        """Have it end at once."""
        while not self._over.is_set():
            if self._client is not None:
                with suppress(Unavailable):  # it ends by itself
                    await self._server.tell(("CLIENT", "UNBLOCK", self._client))
            with suppress(TimeoutError):
                async with asyncio.timeout(INSISTENCE):
                    await self._over.wait()

    async def _wait(self, line: Line) -> Popped | None:
        await line.send(("CLIENT", "ID"), self._pop)
        with suppress(ResponseError):  # not everybody may know: such a wait takes its time
            self._client = await line.read()
        try:
            answer = await line.read()
        except ResponseError as error:
            if not is_spoilt(error):
                raise
            return None  # whoever looks next mends it
        if answer is None:
            return None
        key, members = answer
        return Popped(key.decode(), members)
