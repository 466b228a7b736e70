"""What SAQ's subjects share: its jobs, a producer and a worker, whichever queue they use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvloop
from saq import Queue, Worker

from benchmarks.subjects import handlers
from benchmarks.subjects.command import Unable

CHAIN = "chain: each job enqueues the next; fan: none"


async def nothing(_: Any, *, number: int) -> int:
    """A job that does nothing."""
    return handlers.nothing(number)


async def step(context: Any, *, number: int, place: int) -> int:
    """One of a chain's steps, which enqueues the next."""
    result = handlers.step(number, place)
    if place + 1 < handlers.STEPS:
        await context["worker"].queue.enqueue("step", number=number, place=place + 1)
    return result


class Producer:
    """Enqueues into a connected queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def submit(self, number: int) -> None:
        await self._queue.enqueue("nothing", number=number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        await self._queue.enqueue("step", number=number, place=0)

    async def fan(self, number: int) -> None:
        raise Unable


def opened(queue: Queue) -> AbstractAsyncContextManager[Producer]:
    """A producer for the queue, connected."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Producer]:
        await queue.connect()
        try:
            yield Producer(queue)
        finally:
            await queue.disconnect()

    return opening()


def work(make: Callable[[], Queue], slots: int, ready: Callable[[], None]) -> None:
    """Work until SIGTERM, for which SAQ's worker listens itself."""

    async def working() -> None:
        queue = make()
        await queue.connect()

        async def started(_: Any) -> None:
            ready()

        worker = Worker(queue, [nothing, step], concurrency=slots, startup=started)
        await worker.start()
        await queue.disconnect()

    uvloop.run(working())
