"""Who listens within this process, and what each has not read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from cueline.domain.events import Event

BACKLOG = 1000
"""How many events a subscriber may be behind before it loses the oldest."""


class Subscriptions:
    """Spreads events among the subscribers of one process, without ever waiting for one."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._backlog = backlog
        self._subscribers: dict[str, list[_Subscriber]] = {}  # by what they follow

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscribers)

    def __contains__(self, id: object) -> bool:
        """Whether anybody follows this task or run."""
        return id in self._subscribers

    def spread(self, events: Sequence[Event]) -> None:
        """Hand each event to those who follow what it is about."""
        for event in events:
            for subscriber in self._subscribers.get(event.id, ()):
                subscriber.push(event)

    @contextmanager
    def following(self, ids: Sequence[str]) -> Iterator[AsyncIterator[Event]]:
        """The events about these from now on, for as long as the context is open."""
        followed = tuple(dict.fromkeys(ids))
        subscriber = _Subscriber(self._backlog)
        for id in followed:
            self._subscribers.setdefault(id, []).append(subscriber)
        try:
            yield subscriber
        finally:
            subscriber.end()
            for id in followed:
                self._subscribers[id].remove(subscriber)
                if not self._subscribers[id]:
                    del self._subscribers[id]

    def end(self) -> None:
        """End every subscription: what has arrived may still be read. Twice is once."""
        for subscribers in self._subscribers.values():
            for subscriber in subscribers:
                subscriber.end()


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
