"""Following: an event is a reason to look, and so is time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from cueline.application.ports.events import EventBus
from cueline.domain.errors import Unavailable
from cueline.domain.events import Event, Subject
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.interfaces.cli.watching import follow
from tests.doubles import NOW

EVENT = Event(Subject.TASK, "1", 1, "status", NOW)


class ObservedBus(MemoryEventBus):
    """Says when somebody has subscribed."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribed = asyncio.Event()

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        self.subscribed.set()
        return super().subscribe(ids)


class DeafBus(MemoryEventBus):
    """Does not answer."""

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return _Refused()


class _Refused(AbstractAsyncContextManager[AsyncIterator[Event]]):
    async def __aenter__(self) -> AsyncIterator[Event]:
        raise Unavailable("the event bus")

    async def __aexit__(self, *error: object) -> None:
        pass


async def count_to(end: int, bus: EventBus, shown: list[int]) -> int:
    """Follow something that is one further at each look."""
    looks = iter(range(1, end + 1))

    async def look() -> int:
        return next(looks)

    return await follow.follow(bus.subscribe(["1"]), look, shown.append, lambda seen: seen == end)


async def test_an_event_is_followed_by_a_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "LOOK_EVERY", 1000.0)
    monkeypatch.setattr(follow, "SETTLE", 0.0)
    bus, shown = ObservedBus(), list[int]()

    following = asyncio.create_task(count_to(2, bus, shown))
    await bus.subscribed.wait()
    while not following.done():
        await bus.publish([EVENT])
        await asyncio.sleep(0)

    assert (await following, shown) == (2, [1, 2])


@pytest.mark.parametrize("bus", [MemoryEventBus, DeafBus])
async def test_without_events_there_is_a_look_now_and_then(
    bus: type[MemoryEventBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOOK_EVERY", 0.001)
    shown: list[int] = []

    assert await count_to(3, bus(), shown) == 3
    assert shown == [1, 2, 3]


async def test_an_error_of_a_look_ends_the_following() -> None:
    async def look() -> int:
        raise Unavailable("the store")

    with pytest.raises(Unavailable):
        await follow.follow(MemoryEventBus().subscribe(["1"]), look, print, bool)
