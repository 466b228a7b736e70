"""Listening to a topic, on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cueline.infrastructure.redis.server import COMMAND_TIMEOUT, Server, end, is_trouble
from cueline.infrastructure.retrying import retrying

log = logging.getLogger(__name__)

SILENCE = 5.0
"""After how long without a word the connection is tried, in seconds; as long again, it is lost."""


class Listener:
    """Hands what is published on a topic to `heard`, and reconnects by itself.

    What is published meanwhile is lost; `began` is told when listening begins, again or for the
    first time, so that one who must not miss anything can look for it.
    """

    def __init__(
        self,
        server: Server,
        topic: str,
        heard: Callable[[bytes], None],
        began: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._topic = topic
        self._heard = heard
        self._began = began
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin; the server must be open. Beginning twice is beginning once."""
        if self._task is None:
            name = f"listen-{self._topic}"
            self._task = asyncio.create_task(self._listen_forever(), name=name)

    async def close(self) -> None:
        """End. Closing twice is closing once."""
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def _listen_forever(self) -> None:
        while True:
            async with aclosing(self._server.pubsub()) as connection:
                await self._tune_in(connection)
                try:
                    await self._listen(connection)
                except RedisTimeoutError as error:
                    self._server.lost(error)
                except (RedisError, OSError) as error:
                    log.info("the connection that listens to Redis was lost: %s", error)

    async def _tune_in(self, connection: PubSub) -> None:
        """Subscribe to the topic. It takes as long as it takes."""
        async for attempt in retrying("listen to Redis", when=is_trouble, within=None):
            with attempt:
                await self._server.answering()
                try:
                    async with asyncio.timeout(COMMAND_TIMEOUT):
                        await connection.subscribe(self._topic)
                except (RedisError, OSError) as error:
                    self._server.lost(error)
                    raise

    async def _listen(self, connection: PubSub) -> None:
        """Hear until the connection is lost, as an error or too long a silence tells."""
        tried = False
        while True:
            message = await connection.get_message(timeout=SILENCE)
            if message is None:
                if tried:
                    raise RedisTimeoutError(f"nothing was heard for {2 * SILENCE:g} s")
                async with asyncio.timeout(COMMAND_TIMEOUT):
                    await connection.ping()
            elif message["type"] == "subscribe":
                self._began()
            elif message["type"] == "message":
                self._hand_over(message["data"])
            tried = message is None

    def _hand_over(self, payload: bytes) -> None:
        try:
            self._heard(payload)
        except Exception:
            log.exception("what came over %s could not be handled", self._topic)
