"""A load that does not let up: a client that keeps so many tasks open, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

from cueline.application.application import Application
from cueline.application.tasks import Submission
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from tests.chaos.app import work
from tests.chaos.database import AWAY, SOON, Database
from tests.chaos.moves import OPEN

TARGET = 60
"""How many tasks are open, queued or running, at a time."""

BATCH = 15
SHORTEST, LONGEST = 0.02, 0.4
"""How long tasks take, in seconds."""

DELAYED = 0.1
"""The share of tasks that are to run a moment later."""


class Load:
    """Submits, and remembers what was acknowledged. What was not is submitted again."""

    def __init__(self, application: Application, database: Database, chance: Random) -> None:
        self._application = application
        self._database = database
        self._chance = chance
        self._number = 0
        self.acknowledged: dict[str, str] = {}
        self.surprises: list[tuple[str, str]] = []
        """What a client was told that it cannot know what to do with, by the first of its keys."""

    @asynccontextmanager
    async def kept_up(self) -> AsyncIterator[None]:
        """Keep so many tasks open for as long as the context lasts."""
        stop = asyncio.Event()
        keeping = asyncio.create_task(self._keep_up(stop))
        try:
            yield
        finally:
            stop.set()
            await keeping

    async def submit(self, submissions: Sequence[Submission]) -> None:
        """Submit, again and again until it is acknowledged; the keys make it once."""
        while True:
            try:
                submitted = await self._application.submit(submissions)
            except Unavailable:
                await asyncio.sleep(SOON)
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is, no client should see it
                self.surprises.append((str(submissions[0].key), repr(error)))
                await asyncio.sleep(SOON)
                continue
            for each in submitted:
                self.acknowledged[str(each.task.spec.key)] = str(each.task.id)
            return

    async def submit_poison(self, name: str) -> None:
        """Submit a task that kills."""
        await self.submit([Submission(name, {}, key=self._new_key(name))])

    async def _keep_up(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                [[present]] = await self._database.ask(OPEN)
            except AWAY:  # what is open cannot be known, but something more may be
                present = TARGET - BATCH
            if present <= TARGET - BATCH:
                await self.submit([self._something_to_do() for _ in range(BATCH)])
            else:
                await asyncio.sleep(SOON)

    def _something_to_do(self) -> Submission:
        chance = self._chance
        return Submission(
            work.name,
            {"seconds": round(chance.uniform(SHORTEST, LONGEST), 3)},
            key=self._new_key(work.name),
            priority=chance.choice(list(Priority)),
            delay=timedelta(seconds=0.2) if chance.random() < DELAYED else None,
        )

    def _new_key(self, name: str) -> str:
        self._number += 1
        return f"{name}-{self._number}"
