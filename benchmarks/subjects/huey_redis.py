"""Huey on Redis: one list, popped before the run, so a task lost with its worker is lost.

Popping blocks (its default), and results are kept until they are read. The consumer is the one that
Huey's command line starts, with eight threads at most: what does nothing gains from no more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from huey import RedisHuey, chord

from benchmarks.subjects import handlers, places
from benchmarks.subjects.command import Unable, run, surroundings

HERE = surroundings("huey_redis", places.REDIS)
THREADS = min(HERE.slots, 8)
SETTINGS = f"{THREADS} threads, at most once (its only way), results kept; chain: then; fan: chord"

huey = RedisHuey(HERE.namespace, url=HERE.url)
nothing = huey.task(name="nothing")(handlers.nothing)
branch = huey.task(name="branch")(handlers.branch)


@huey.task(name="step")
def step(number: int, place: int, *_: int) -> int:
    """One of a chain's steps, which is also given the result of the one before."""
    return handlers.step(number, place)


@huey.task(name="join")
def join(number: int, *_: list[int]) -> int:
    """The end of a fan, which is also given the results of the branches."""
    return handlers.join(number)


class Producer:
    """Pushes tasks; it blocks, as Huey's client does."""

    async def submit(self, number: int) -> None:
        nothing(number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        steps = step.s(number, 0)
        for place in range(1, handlers.STEPS):
            steps.then(step, number, place)
        huey.enqueue(steps)

    async def fan(self, number: int) -> None:
        branches = [branch.s(number, place) for place in range(handlers.BRANCHES)]
        huey.enqueue(chord(branches, join.s(number)))


class HueyOnRedis:
    """Huey with its queue in Redis."""

    settings = SETTINGS

    def remove(self) -> None:
        # Huey takes all but letters and digits out of the names of its keys.
        places.forget_keys(HERE.url, huey.storage.name)

    def prepare(self) -> None:
        """Redis needs nothing made."""

    def opened(self) -> AbstractAsyncContextManager[Producer]:
        return _opened()

    def work(self, ready: Callable[[], None]) -> None:
        consumer = huey.create_consumer(
            workers=THREADS, worker_type="thread", periodic=False, graceful_signal="TERM"
        )
        huey.on_startup()(_last_of(THREADS, ready))
        consumer.run()


def _last_of(threads: int, ready: Callable[[], None]) -> Callable[[], None]:
    """Huey calls it in each thread that starts: the last of them makes the worker ready."""
    waiting = list(range(threads))

    def started() -> None:
        if waiting.pop() == 0:
            ready()

    return started


@asynccontextmanager
async def _opened() -> AsyncIterator[Producer]:
    huey.pending_count()  # connects
    yield Producer()


if __name__ == "__main__":
    run(HueyOnRedis())
