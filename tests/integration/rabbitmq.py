"""What the tests of the RabbitMQ adapters share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import aio_pika

from cueline.application.ports.metrics import Exposition, Metrics


class CountingMetrics(Metrics):
    """Remembers what was refused."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()

    def broker_answers(self, answers: bool) -> None:
        """Nobody asks."""

    def hints_refused(self, reason: str, count: int = 1) -> None:
        self.refused[reason] += count

    def taken_from_store(self, count: int) -> None:
        """Nobody asks."""

    def expose(self) -> Exposition:
        return Exposition("text/plain", b"")


class Ear:
    """Remembers what came over a channel."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def __call__(self, payload: bytes) -> None:
        self.heard.append(payload)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def put(url: str, queue: str, bodies: Sequence[bytes]) -> None:
    """Publish bodies as a stranger may."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        for body in bodies:
            await channel.default_exchange.publish(aio_pika.Message(body), queue)


async def delete(url: str, queues: Sequence[str]) -> None:
    """Delete queues as an operator may."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        for queue in queues:
            await channel.queue_delete(queue)
