"""Cueline as a subject, on the store and broker that the environment names.

On memory everything is in one process: whoever submits there works as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvloop

from benchmarks.subjects import cueline_place as place
from benchmarks.subjects.bulk import BULK, CALLERS, in_bulk
from benchmarks.subjects.command import run
from benchmarks.subjects.cueline_app import app, chain, fan, nothing
from benchmarks.subjects.handlers import ledger
from cueline.application.application import Application
from cueline.logs import configure_logging
from cueline.runtime import open_application, serve, stop_on_signals
from cueline.settings import Settings

_POLL = 0.002


class Submitter:
    """What submits, through the connection of the application."""

    async def submit(self, number: int) -> None:
        await nothing.submit(number=number)

    async def submit_many(self, numbers: range) -> None:
        async def submit(batch: range) -> None:
            await nothing.submit_many({"number": number} for number in batch)

        await in_bulk(submit, numbers)

    async def chain(self, number: int) -> None:
        await chain.start({"number": number})

    async def fan(self, number: int) -> None:
        await fan.start({"number": number})


class Cueline:
    """One pair of store and broker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.settings = (
            f"{settings.concurrency} slots, all state kept, "
            f"bulk submits by {BULK}, {CALLERS} at once"
        )

    def remove(self) -> None:
        asyncio.run(place.remove(self._settings))

    def prepare(self) -> None:
        asyncio.run(self._prepare())

    async def _prepare(self) -> None:
        await place.prepare(self._settings)
        async with open_application(self._settings, app):
            pass  # which makes the tables

    def opened(self) -> AbstractAsyncContextManager[Submitter]:
        return self._alone() if self._settings.store_kind == "memory" else self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Submitter]:
        async with app:
            yield Submitter()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Submitter]:
        async with app.working():
            yield Submitter()
            for number in range(ledger().size):
                while ledger().is_open(number):  # noqa: ASYNC110  # the worker notes, and tells nobody
                    await asyncio.sleep(_POLL)

    def work(self, ready: Callable[[], None]) -> None:
        uvloop.run(_work(self._settings, ready))


async def _work(settings: Settings, ready: Callable[[], None]) -> None:
    """What `cueline worker` does."""
    configure_logging("WARNING")
    stop = asyncio.Event()
    stop_on_signals(stop)
    watching: list[asyncio.Task[None]] = []

    def opened(application: Application) -> None:
        telling = _tell_when_registered(application, settings.worker_name, ready)
        watching.append(asyncio.create_task(telling))

    await serve(settings, app, stop, opened)
    for task in watching:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _tell_when_registered(
    application: Application, name: str, ready: Callable[[], None]
) -> None:
    while not await _is_registered(application, name):  # noqa: ASYNC110  # the worker tells nobody
        await asyncio.sleep(_POLL)
    ready()


async def _is_registered(application: Application, name: str) -> bool:
    return name in {worker.name for worker in await application.queries.workers()}


if __name__ == "__main__":
    run(Cueline(place.settings()))
