"""SAQ on Redis: lists, a sorted set and a key for each job, one Lua script for each enqueue.

Tuned are the concurrency and, as large as that, how many of its own operations may wait for Redis
at once. A result stays for ten minutes (its default); a job of a worker that dies is swept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from saq.queue.redis import RedisQueue

from benchmarks.subjects import places, saq_jobs
from benchmarks.subjects.command import run, surroundings

HERE = surroundings("saq_redis", places.REDIS)
SETTINGS = f"concurrency {HERE.slots}, results kept 10 min; {saq_jobs.CHAIN}"


class SaqOnRedis:
    """SAQ with its jobs in Redis."""

    settings = SETTINGS

    def remove(self) -> None:
        places.forget_keys(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        """Redis needs nothing made."""

    def opened(self) -> AbstractAsyncContextManager[saq_jobs.Producer]:
        return saq_jobs.opened(_queue())

    def work(self, ready: Callable[[], None]) -> None:
        saq_jobs.work(_queue, HERE.slots, ready)


def _queue() -> RedisQueue:
    return RedisQueue.from_url(HERE.url, name=HERE.namespace, max_concurrent_ops=HERE.slots)


if __name__ == "__main__":
    run(SaqOnRedis())
