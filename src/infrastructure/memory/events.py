"""An event bus in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from cueline.application.ports.capabilities import BusCapabilities, Reach
from cueline.application.ports.events import EventBus
from cueline.domain.events import Event
from cueline.infrastructure.events.subscriptions import BACKLOG, Subscriptions


class MemoryEventBus(EventBus):
    """Spreads events within one process. Closing ends every subscription."""

    capabilities = BusCapabilities(Reach.PROCESS)

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._subscriptions = Subscriptions(backlog)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """End the subscriptions: what has arrived may still be read. Twice is once."""
        self._subscriptions.end()

    @property
    def is_watched(self) -> bool:
        return bool(self._subscriptions)

    async def publish(self, events: Sequence[Event]) -> None:
        self._subscriptions.spread(events)

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._subscribed(ids)

    @asynccontextmanager
    async def _subscribed(self, ids: Sequence[str]) -> AsyncIterator[AsyncIterator[Event]]:
        with self._subscriptions.following(ids) as events:
            yield events
