"""A channel for events, on publish and subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from cueline.application.ports.capabilities import Reach
from cueline.infrastructure.events.channel import Channel
from cueline.infrastructure.redis.listener import Listener
from cueline.infrastructure.redis.server import CONNECT_TIMEOUT, Server


class RedisChannel(Channel):
    """One topic of the namespace. Who publishes hears itself, as everybody else does."""

    reach = Reach.NETWORK
    largest = 1_000_000

    def __init__(self, url: str, namespace: str) -> None:
        self._topic = f"{{{namespace}}}:events"
        self._server = Server(url, name=namespace, role="the event channel")
        self._listener: Listener | None = None
        self._in_turn = asyncio.Lock()  # over several connections payloads could overtake

    async def open(self, receive: Callable[[bytes], None]) -> None:
        await self._server.open()
        listening = asyncio.Event()
        self._listener = Listener(self._server, self._topic, receive, listening.set)
        self._listener.open()
        if self._server.is_answering:  # who says that it listens should do so
            with suppress(TimeoutError):
                await asyncio.wait_for(listening.wait(), CONNECT_TIMEOUT)

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
        await self._server.close()

    async def send(self, payload: bytes) -> None:
        async with self._in_turn:
            await self._server.tell(("PUBLISH", self._topic, payload))
