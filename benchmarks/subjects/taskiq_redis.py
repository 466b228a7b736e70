"""Taskiq on a Redis stream, which is the one of its Redis brokers that acknowledges.

Acknowledged when the result is saved (its default), results for ten minutes. The receiver is the
one that Taskiq's command line runs in each of its processes, with as many tasks at a time as slots
and as many more prefetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import uvloop
from taskiq.acks import AcknowledgeType
from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.subjects import handlers, places, until_terminated
from benchmarks.subjects.command import Unable, run, surroundings

HERE = surroundings("taskiq_redis", places.REDIS)
KEPT = 600
SETTINGS = (
    f"stream, max-async-tasks {HERE.slots}, prefetch {HERE.slots}, acked when saved, "
    "results kept 10 min; chain: each task kicks the next; fan: none"
)

_stream = RedisStreamBroker(
    HERE.url,
    queue_name=HERE.namespace,
    consumer_id="0",  # from the first message on: here tasks come before the first worker
)
_results: RedisAsyncResultBackend[int] = RedisAsyncResultBackend(
    HERE.url, result_ex_time=KEPT, prefix_str=f"{HERE.namespace}:results"
)
broker = _stream.with_result_backend(_results)


@broker.task(task_name="nothing")
async def nothing(number: int) -> int:
    """A task that does nothing."""
    return handlers.nothing(number)


@broker.task(task_name="step")
async def step(number: int, place: int) -> int:
    """One of a chain's steps, which kicks the next."""
    result = handlers.step(number, place)
    if place + 1 < handlers.STEPS:
        await step.kiq(number, place + 1)
    return result


class Producer:
    """Adds to the stream."""

    async def submit(self, number: int) -> None:
        await nothing.kiq(number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        await step.kiq(number, 0)

    async def fan(self, number: int) -> None:
        raise Unable


class TaskiqOnRedis:
    """Taskiq with its queue in a Redis stream."""

    settings = SETTINGS

    def remove(self) -> None:
        places.forget_keys(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        """The broker makes its stream when it starts."""

    def opened(self) -> AbstractAsyncContextManager[Producer]:
        return _opened()

    def work(self, ready: Callable[[], None]) -> None:
        uvloop.run(_work(ready))


@asynccontextmanager
async def _opened() -> AsyncIterator[Producer]:
    await broker.startup()
    yield Producer()
    await broker.shutdown()


async def _work(ready: Callable[[], None]) -> None:
    await broker.startup()
    receiving = asyncio.create_task(
        run_receiver_task(
            broker,
            max_async_tasks=HERE.slots,
            max_prefetch=HERE.slots,
            ack_time=AcknowledgeType.WHEN_SAVED,
        )
    )
    ready()
    await until_terminated.terminated()
    receiving.cancel()
    with suppress(asyncio.CancelledError):
        await receiving
    await broker.shutdown()


if __name__ == "__main__":
    run(TaskiqOnRedis())
