"""What Dramatiq's subjects share: its actors, a producer and a worker, whichever broker they use.

The worker is the one that Dramatiq's command line starts in each of its processes, with as many
threads as there. The prefetch (`dramatiq_queue_prefetch`) is larger than its default of two
messages a thread, which suits tasks that take longer than to fetch them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import dramatiq
from dramatiq import Broker, group, pipeline
from dramatiq import worker as dramatiq_worker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend as Barriers
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as KeptResults

from benchmarks.subjects import handlers, until_terminated
from benchmarks.subjects.command import Surroundings, Unable

MOST_THREADS = 8
PREFETCH = 100
BARRIER_TTL = 600_000  # ms; its keys have no namespace by which they could be removed
CHAINS = "chain: pipeline; fan: group with a callback"


def threads(here: Surroundings) -> int:
    """How many threads a worker has: no more than the slots, nor than Dramatiq's default."""
    return min(here.slots, MOST_THREADS)


def tuning(here: Surroundings) -> str:
    """What is set alike on both brokers."""
    return f"{threads(here)} threads, prefetch {threads(here) * PREFETCH}, acked after the run"


class Actors:
    """The benchmark's tasks, declared on a broker; their results and barriers are in Redis."""

    def __init__(
        self, broker: Broker, here: Surroundings, redis_url: str, connect: Callable[[], object]
    ) -> None:
        self._broker = broker
        self._connect = connect
        self._slots = threads(here)
        results = KeptResults(url=redis_url, namespace=f"{here.namespace}:results")
        broker.add_middleware(Results(backend=results, store_results=True))
        broker.add_middleware(GroupCallbacks(Barriers(url=redis_url), barrier_ttl=BARRIER_TTL))
        self._nothing = self._actor("nothing", handlers.nothing, here)
        self._step = self._actor("step", handlers.step, here)
        self._branch = self._actor("branch", handlers.branch, here)
        self._join = self._actor("join", handlers.join, here)

    def _actor(
        self, name: str, handler: Callable[..., int], here: Surroundings
    ) -> dramatiq.Actor[..., int]:
        return dramatiq.actor(
            handler, actor_name=name, broker=self._broker, queue_name=here.namespace
        )

    async def submit(self, number: int) -> None:
        self._nothing.send(number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        steps = (
            self._step.message_with_options(args=(number, place), pipe_ignore=True)
            for place in range(handlers.STEPS)
        )
        pipeline(steps, broker=self._broker).run()

    async def fan(self, number: int) -> None:
        branches = group(
            (self._branch.message(number, place) for place in range(handlers.BRANCHES)),
            broker=self._broker,
        )
        branches.add_completion_callback(self._join.message(number))
        branches.run()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Actors]:
        """These actors with the broker connected."""
        self._connect()
        yield self
        self._broker.close()

    def work(self, ready: Callable[[], None]) -> None:
        """Work until SIGTERM."""
        until_terminated.block_terminate()
        dramatiq_worker.QUEUE_PREFETCH = PREFETCH * self._slots
        worker = dramatiq.Worker(self._broker, worker_threads=self._slots)
        worker.start()
        ready()
        until_terminated.wait_for_terminate()
        worker.stop()
        self._broker.close()
