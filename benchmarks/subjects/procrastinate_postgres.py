"""Procrastinate on PostgreSQL: a table of jobs, LISTEN and NOTIFY, finished jobs kept.

Tuned are the concurrency, which is one by default, and psycopg's pool. The polling interval is
shorter than its default of 5 s, since a job whose notification was missed waits for the next poll.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvloop
from procrastinate import App, PsycopgConnector

from benchmarks.subjects import handlers, places
from benchmarks.subjects.bulk import BULK, CALLERS, in_bulk
from benchmarks.subjects.command import Unable, run, surroundings

POOL = 20
POLL = 1.0
HERE = surroundings("procrastinate_postgres", places.POSTGRES)
SETTINGS = (
    f"concurrency {HERE.slots}, pool of {POOL}, poll every {POLL:g} s, jobs kept, "
    f"bulk by {BULK}, {CALLERS} at once; chain: each task defers the next; fan: none"
)

# It warns of an app in the module that is run, whose tasks others could not import: none does here.
logging.getLogger("procrastinate").setLevel(logging.ERROR)

app = App(
    connector=PsycopgConnector(
        conninfo=places.database_url(HERE.url, HERE.namespace), min_size=4, max_size=POOL
    )
)


@app.task(name="nothing")
async def nothing(number: int) -> int:
    """A task that does nothing."""
    return handlers.nothing(number)


@app.task(name="step")
async def step(number: int, place: int) -> int:
    """One of a chain's steps, which defers the next."""
    result = handlers.step(number, place)
    if place + 1 < handlers.STEPS:
        await step.defer_async(number=number, place=place + 1)
    return result


class Producer:
    """Defers jobs."""

    async def submit(self, number: int) -> None:
        await nothing.defer_async(number=number)

    async def submit_many(self, numbers: range) -> None:
        async def submit(batch: range) -> None:
            await nothing.batch_defer_async(*({"number": number} for number in batch))

        await in_bulk(submit, numbers)

    async def chain(self, number: int) -> None:
        await step.defer_async(number=number, place=0)

    async def fan(self, number: int) -> None:
        raise Unable


class ProcrastinateOnPostgres:
    """Procrastinate with its jobs in PostgreSQL."""

    settings = SETTINGS

    def remove(self) -> None:
        places.drop_database(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        places.create_database(HERE.url, HERE.namespace)
        uvloop.run(_make_tables())

    def opened(self) -> AbstractAsyncContextManager[Producer]:
        return _opened()

    def work(self, ready: Callable[[], None]) -> None:
        uvloop.run(_work(ready))


async def _make_tables() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


@asynccontextmanager
async def _opened() -> AsyncIterator[Producer]:
    async with app.open_async():
        yield Producer()


async def _work(ready: Callable[[], None]) -> None:
    async with app.open_async():
        ready()
        await app.run_worker_async(
            concurrency=HERE.slots, fetch_job_polling_interval=POLL, install_signal_handlers=True
        )


if __name__ == "__main__":
    run(ProcrastinateOnPostgres())
