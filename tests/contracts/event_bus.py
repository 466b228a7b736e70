"""The contract of an event bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from cueline.application.ports.events import EventBus
from cueline.domain.events import Event, Subject
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW


class ClosableBus(EventBus, Protocol):
    """An event bus as adapters are: it can be closed."""

    async def close(self) -> None:
        """End the subscriptions and give back what the bus holds."""
        ...


class EventBusContract:
    """An adapter provides the fixture `bus`."""

    @pytest.fixture
    def bus(self) -> ClosableBus:
        raise NotImplementedError

    async def test_a_subscriber_gets_an_event_as_it_was_published(self, bus: ClosableBus) -> None:
        event = Event(Subject.RUN, "a", 7, "step.started", NOW, EVERY_KIND)
        async with bus.subscribe(["a"]) as events:
            await bus.publish([event])
            assert await following(events) == event

    async def test_events_come_in_the_order_of_publishing(self, bus: ClosableBus) -> None:
        published = [an_event("ab"[n % 2], n) for n in range(20)]
        async with bus.subscribe(["a", "b"]) as events:
            await bus.publish(published[:7])
            await bus.publish(published[7:])
            assert [await following(events) for _ in published] == published

    async def test_only_the_subjects_asked_for_come(self, bus: ClosableBus) -> None:
        async with bus.subscribe(["a"]) as events:
            await bus.publish([an_event("b", 1), an_event("a", 2)])
            assert await following(events) == an_event("a", 2)

    async def test_an_event_comes_once_although_its_subject_was_named_twice(
        self, bus: ClosableBus
    ) -> None:
        async with bus.subscribe(["a", "a"]) as events:
            await bus.publish([an_event("a", 1), an_event("a", 2)])
            assert [await following(events) for _ in range(2)] == [
                an_event("a", 1),
                an_event("a", 2),
            ]

    async def test_every_subscriber_gets_every_event(self, bus: ClosableBus) -> None:
        async with bus.subscribe(["a"]) as one, bus.subscribe(["a", "b"]) as two:
            await bus.publish([an_event("a", 1)])
            assert await following(one) == await following(two) == an_event("a", 1)

    async def test_what_happened_before_does_not_come(self, bus: ClosableBus) -> None:
        await bus.publish([an_event("a", 1)])
        async with bus.subscribe(["a"]) as events:
            await bus.publish([an_event("a", 2)])
            assert await following(events) == an_event("a", 2)

    async def test_a_waiting_subscriber_is_woken(self, bus: ClosableBus) -> None:
        async with bus.subscribe(["a"]) as events:
            waiting = asyncio.create_task(following(events))
            await asyncio.sleep(0)
            await bus.publish([an_event("a", 1)])
            assert await waiting == an_event("a", 1)

    async def test_publishing_without_subscribers_is_allowed(self, bus: ClosableBus) -> None:
        await bus.publish([an_event("a", 1)])
        await bus.publish([])

    async def test_a_subscriber_that_left_holds_nobody_up(self, bus: ClosableBus) -> None:
        async with bus.subscribe(["a"]) as stays:
            async with bus.subscribe(["a"]):
                pass
            await bus.publish([an_event("a", 1)])
            assert await following(stays) == an_event("a", 1)

    async def test_a_slow_subscriber_loses_the_oldest_and_holds_nobody_up(
        self, bus: ClosableBus
    ) -> None:
        last = 20_000
        async with bus.subscribe(["a"]) as slow, bus.subscribe(["b"]) as other:
            for start in range(1, last, 1000):
                await bus.publish([an_event("a", start + n) for n in range(1000)])
            await bus.publish([an_event("b", 1)])
            assert await following(other) == an_event("b", 1)
            seen = [(await following(slow)).sequence]
            while seen[-1] < last:
                seen.append((await following(slow)).sequence)
        assert seen[0] > 1
        assert seen == sorted(set(seen))

    async def test_closing_ends_the_subscriptions(self, bus: ClosableBus) -> None:
        async with bus.subscribe(["a"]) as events:
            waiting = asyncio.create_task(_count(events))
            await asyncio.sleep(0)
            await bus.close()
            await bus.close()
            async with asyncio.timeout(5):
                assert await waiting == 0


def an_event(id: str, sequence: int) -> Event:
    """An event about a task."""
    return Event(Subject.TASK, id, sequence, "status", NOW, {"state": "queued"})


async def following(events: AsyncIterator[Event]) -> Event:
    """The next event, soon."""
    async with asyncio.timeout(5):
        return await anext(events)


async def _count(events: AsyncIterator[Event]) -> int:
    return len([event async for event in events])
