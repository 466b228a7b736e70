"""Listening: what a stream hears from the event bus, and when it must look for itself.

The bus brings news at once but promises nothing, and it may not reach other processes. So a stream
also looks at the store in a steady rhythm, and tells only what it finds there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cueline.application.bell import Bell
from cueline.application.queries import Queries
from cueline.domain.errors import Unavailable
from cueline.domain.events import Event
from cueline.interfaces.rest.edge import Pace

log = logging.getLogger(__name__)


class Ear:
    """Hears events and keeps them until they are taken; rings for the first of them."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._bell = Bell()
        self._heard: list[Event] = []
        self._beat_at = self._time() + pace.heartbeat

    async def listen(self, events: AsyncIterator[Event]) -> None:
        """Hear events until there are no more. Without them, the steady looks must do."""
        try:
            async for event in events:
                self._heard.append(event)
                self._bell.ring()
        except Unavailable as error:
            log.warning("a stream goes on without live events: %s", error)

    def take(self) -> list[Event]:
        """What was heard since the last time."""
        heard, self._heard = self._heard, []
        return heard

    async def wait(self) -> None:
        """Wait for news, at most until it is time to look at the store or to show life."""
        await self._bell.wait(min(self._pace.look, self._beat_at - self._time()))

    def is_time_to_beat(self) -> bool:
        """Whether a heartbeat is due; asking moves the next one on."""
        now = self._time()
        if now < self._beat_at:
            return False
        self._beat_at = now + self._pace.heartbeat
        return True

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def listening(queries: Queries, ids: Sequence[str], pace: Pace) -> AsyncGenerator[Ear, None]:
    """An ear for events about these tasks and runs, closed on leaving."""
    async with queries.watch(ids) as events:
        ear = Ear(pace)
        listener = asyncio.create_task(ear.listen(events), name="event-stream-ear")
        try:
            yield ear
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
