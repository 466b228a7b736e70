"""An event bus in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from cueline.application.ports.events import EventBus
from cueline.domain.events import Event

BACKLOG = 1000
"""How many events a subscriber may be behind before it loses the oldest."""


class MemoryEventBus(EventBus):
    """Spreads events within one process. Closing ends every subscription."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._backlog = backlog
        self._subscribers: dict[str, list[_Subscriber]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """End the subscriptions: what has arrived may still be read. Twice is once."""
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.end()

    @property
    def is_watched(self) -> bool:
        return bool(self._subscribers)

    async def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            for subscriber in self._subscribers.get(event.id, ()):
                subscriber.push(event)

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._subscribed(tuple(dict.fromkeys(ids)))

    @asynccontextmanager
    async def _subscribed(self, ids: tuple[str, ...]) -> AsyncIterator[AsyncIterator[Event]]:
        subscriber = _Subscriber(self._backlog)
        for id in ids:
            self._subscribers.setdefault(id, []).append(subscriber)
        try:
            yield subscriber
        finally:
            subscriber.end()
            for id in ids:
                self._subscribers[id].remove(subscriber)
                if not self._subscribers[id]:
                    del self._subscribers[id]


class _Subscriber(AsyncIterator[Event]):
    """The events that one subscriber has not read yet, and the iterator over them."""

    def __init__(self, backlog: int) -> None:
        self._events: deque[Event] = deque(maxlen=backlog)
        self._news = asyncio.Event()
        self._ended = False

    def push(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()
