"""Following something until it ends: events say when to look again, the store says what is true."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from cueline.domain.errors import Unavailable
from cueline.domain.events import Event

T = TypeVar("T")

LOOK_EVERY = 0.3
"""Seconds between two looks at the store while no event arrives."""

SETTLE = 0.05
"""Seconds for which events are gathered, so that a flood of them costs a few looks and no more."""


async def follow(
    events: AbstractAsyncContextManager[AsyncIterator[Event]],
    look: Callable[[], Awaitable[T]],
    show: Callable[[T], None],
    ended: Callable[[T], bool],
) -> T:
    """Look and show until what is seen has ended; answer the end.

    Events are hints and may stem from another process or not arrive at all, so the store is read
    now and then without one.
    """
    loop = asyncio.get_running_loop()
    async with _news_of(events) as news:
        while True:
            seen = await look()
            show(seen)
            if ended(seen):
                return seen
            alarm = loop.call_later(LOOK_EVERY, news.set)
            await news.wait()
            alarm.cancel()
            await asyncio.sleep(SETTLE)
            news.clear()


@asynccontextmanager
async def _news_of(
    events: AbstractAsyncContextManager[AsyncIterator[Event]],
) -> AsyncIterator[asyncio.Event]:
    """What is set at each event, as long as there are any to be had."""
    news = asyncio.Event()
    listening = asyncio.create_task(_listen(events, news), name="follow-events")
    try:
        yield news
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen(
    events: AbstractAsyncContextManager[AsyncIterator[Event]], news: asyncio.Event
) -> None:
    with contextlib.suppress(Unavailable):
        async with events as arriving:
            async for _ in arriving:
                news.set()
