"""Dramatiq on Redis: a list of ids, a hash of messages, acknowledged after the run.

The keys of its results are hashes without a namespace: they cannot be removed, but expire by
themselves after ten minutes (its default).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from dramatiq.brokers.redis import RedisBroker

from benchmarks.subjects import dramatiq_actors, places
from benchmarks.subjects.command import run, surroundings

HERE = surroundings("dramatiq_redis", places.REDIS)
SETTINGS = f"{dramatiq_actors.tuning(HERE)}, results kept 10 min; {dramatiq_actors.CHAINS}"

broker = RedisBroker(url=HERE.url, namespace=HERE.namespace)
actors = dramatiq_actors.Actors(
    broker, HERE, HERE.url, connect=lambda: broker.do_qsize(HERE.namespace)
)


class DramatiqOnRedis:
    """Dramatiq with its queue in Redis."""

    settings = SETTINGS

    def remove(self) -> None:
        places.forget_keys(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        """Redis needs nothing made."""

    def opened(self) -> AbstractAsyncContextManager[dramatiq_actors.Actors]:
        return actors.opened()

    def work(self, ready: Callable[[], None]) -> None:
        actors.work(ready)


if __name__ == "__main__":
    run(DramatiqOnRedis())
