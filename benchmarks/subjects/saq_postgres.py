"""SAQ on PostgreSQL: a table of jobs, LISTEN and NOTIFY, psycopg's pool.

Tuned is the concurrency; the pool has the size of its default. A result stays for ten minutes (its
default); a job of a worker that dies is swept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvloop
from saq.queue.postgres import PostgresQueue

from benchmarks.subjects import places, saq_jobs
from benchmarks.subjects.command import run, surroundings

POOL = 20
HERE = surroundings("saq_postgres", places.POSTGRES)
SETTINGS = (
    f"concurrency {HERE.slots}, pool of {POOL} (its default), results kept 10 min; {saq_jobs.CHAIN}"
)


class SaqOnPostgres:
    """SAQ with its jobs in PostgreSQL."""

    settings = SETTINGS

    def remove(self) -> None:
        places.drop_database(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        places.create_database(HERE.url, HERE.namespace)
        uvloop.run(_make_tables())

    def opened(self) -> AbstractAsyncContextManager[saq_jobs.Producer]:
        return saq_jobs.opened(_queue())

    def work(self, ready: Callable[[], None]) -> None:
        saq_jobs.work(_queue, HERE.slots, ready)


def _queue() -> PostgresQueue:
    return PostgresQueue.from_url(
        places.database_url(HERE.url, HERE.namespace), name=HERE.namespace, max_size=POOL
    )


async def _make_tables() -> None:
    async with saq_jobs.opened(_queue()):
        pass  # connecting makes them


if __name__ == "__main__":
    run(SaqOnPostgres())
