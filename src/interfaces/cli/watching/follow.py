"""Following something until it ends: events say when to look again, the store says what is true."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from cueline.application.bell import Bell
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
    async with _bell_of(events) as bell:
        while True:
            seen = await look()
            show(seen)
            if ended(seen):
                return seen
            if await bell.wait(LOOK_EVERY):
                await asyncio.sleep(SETTLE)


@asynccontextmanager
async def _bell_of(
    events: AbstractAsyncContextManager[AsyncIterator[Event]],
) -> AsyncIterator[Bell]:
    """A bell that rings at each event, as long as there are any to be had."""
    bell = Bell()
    ringing = asyncio.create_task(_ring_at(events, bell), name="follow-events")
    try:
        yield bell
    finally:
        ringing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ringing


async def _ring_at(events: AbstractAsyncContextManager[AsyncIterator[Event]], bell: Bell) -> None:
    with contextlib.suppress(Unavailable):
        async with events as arriving:
            async for _ in arriving:
                bell.ring()
