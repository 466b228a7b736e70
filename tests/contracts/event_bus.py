"""The contract of an event bus, and of one that reaches other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, TypeAlias

import pytest

from cueline.application.ports.events import EventBus
from cueline.domain.events import Event, Subject
from cueline.infrastructure.events.bus import SharedEventBus
from cueline.infrastructure.events.channel import Channel
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW

NewChannel: TypeAlias = Callable[[], Awaitable[Channel]]

ANNOUNCING, PATIENCE = 0.05, 1.0
"""How often the buses of these tests say that they watch, and how long they are believed."""


class EventBusContract:
    """An adapter names itself, and provides the fixture `bus`."""

    adapter: ClassVar[type[EventBus] | type[Channel]]
    """The bus; of one that is on a channel, the channel."""

    @pytest.fixture
    def bus(self) -> EventBus:
        raise NotImplementedError

    @pytest.fixture
    async def tried(self, bus: EventBus) -> EventBus | Channel:
        return bus

    def test_the_suite_tries_the_adapter_that_it_names(self, tried: EventBus | Channel) -> None:
        assert type(tried) is self.adapter

    async def test_a_subscriber_gets_an_event_as_it_was_published(self, bus: EventBus) -> None:
        event = Event(Subject.RUN, "a", 7, "step.started", NOW, EVERY_KIND)
        async with bus.subscribe(["a"]) as events:
            await bus.publish([event])
            assert await following(events) == event

    async def test_events_come_in_the_order_of_publishing(self, bus: EventBus) -> None:
        published = [an_event("ab"[n % 2], n) for n in range(20)]
        async with bus.subscribe(["a", "b"]) as events:
            await bus.publish(published[:7])
            await bus.publish(published[7:])
            assert [await following(events) for _ in published] == published

    async def test_only_the_subjects_asked_for_come(self, bus: EventBus) -> None:
        async with bus.subscribe(["a"]) as events:
            await bus.publish([an_event("b", 1), an_event("a", 2)])
            assert await following(events) == an_event("a", 2)

    async def test_an_event_comes_once_although_its_subject_was_named_twice(
        self, bus: EventBus
    ) -> None:
        async with bus.subscribe(["a", "a"]) as events:
            await bus.publish([an_event("a", 1), an_event("a", 2)])
            assert [await following(events) for _ in range(2)] == [
                an_event("a", 1),
                an_event("a", 2),
            ]

    async def test_every_subscriber_gets_every_event(self, bus: EventBus) -> None:
        async with bus.subscribe(["a"]) as one, bus.subscribe(["a", "b"]) as two:
            await bus.publish([an_event("a", 1)])
            assert await following(one) == await following(two) == an_event("a", 1)

    async def test_what_happened_before_does_not_come(self, bus: EventBus) -> None:
        await bus.publish([an_event("a", 1)])
        async with bus.subscribe(["a"]) as events:
            await bus.publish([an_event("a", 2)])
            assert await following(events) == an_event("a", 2)

    async def test_a_waiting_subscriber_is_woken(self, bus: EventBus) -> None:
        async with bus.subscribe(["a"]) as events:
            waiting = asyncio.create_task(following(events))
            await asyncio.sleep(0)
            await bus.publish([an_event("a", 1)])
            assert await waiting == an_event("a", 1)

    async def test_publishing_without_subscribers_is_allowed(self, bus: EventBus) -> None:
        await bus.publish([an_event("a", 1)])
        await bus.publish([])

    async def test_a_subscriber_that_left_holds_nobody_up(self, bus: EventBus) -> None:
        async with bus.subscribe(["a"]) as stays:
            async with bus.subscribe(["a"]):
                pass
            await bus.publish([an_event("a", 1)])
            assert await following(stays) == an_event("a", 1)

    async def test_a_slow_subscriber_loses_the_oldest_and_holds_nobody_up(
        self, bus: EventBus
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

    async def test_closing_ends_the_subscriptions(self, bus: EventBus) -> None:
        async with bus.subscribe(["a"]) as events:
            waiting = asyncio.create_task(_count(events))
            await asyncio.sleep(0)
            await bus.close()
            await bus.close()
            async with asyncio.timeout(5):
                assert await waiting == 0


class SharedBusContract(EventBusContract):
    """The same for a bus on a channel, and what two buses on one channel do for each other.

    An adapter names its channel, and provides the fixture `new_channel`: a function that makes
    channels of one namespace, each as another process would have it. They are opened and closed by
    the buses.
    """

    @pytest.fixture
    async def bus(self, new_channel: NewChannel) -> AsyncIterator[SharedEventBus]:
        async with opened(await new_channel()) as bus:
            yield bus

    @pytest.fixture
    async def other(self, new_channel: NewChannel) -> AsyncIterator[SharedEventBus]:
        async with opened(await new_channel()) as bus:
            yield bus

    @pytest.fixture
    async def tried(self, new_channel: NewChannel) -> EventBus | Channel:
        return await new_channel()

    async def test_it_reaches_as_far_as_its_channel(
        self, bus: EventBus, new_channel: NewChannel
    ) -> None:
        assert bus.capabilities.reach == (await new_channel()).reach

    async def test_an_event_comes_to_another_process_as_it_was_published(
        self, bus: EventBus, other: EventBus
    ) -> None:
        event = Event(Subject.RUN, "a", 7, "step.started", NOW, EVERY_KIND)
        async with other.subscribe(["a"]) as events:
            await until(lambda: bus.is_watched)
            await bus.publish([event])
            assert await following(events) == event

    async def test_events_come_to_another_process_in_order_and_once(
        self, bus: EventBus, other: EventBus
    ) -> None:
        published = [an_event("ab"[n % 2], n) for n in range(500)]
        async with other.subscribe(["a", "b"]) as events:
            await until(lambda: bus.is_watched)
            for start in range(0, 500, 50):
                await bus.publish(published[start : start + 50])
                await asyncio.sleep(0)
            assert [await following(events) for _ in published] == published

    async def test_own_events_come_once_although_the_channel_brings_them_too(
        self, bus: EventBus, other: EventBus
    ) -> None:
        published = [an_event("a", n) for n in range(5)]
        async with other.subscribe(["a"]) as far:
            await until(lambda: bus.is_watched)
            async with bus.subscribe(["a"]) as own:
                for event in published:
                    await bus.publish([event])
                    assert await following(far) == event
                assert [await following(own) for _ in published] == published

    async def test_nobody_is_watched_until_somebody_subscribes(
        self, bus: EventBus, other: EventBus
    ) -> None:
        assert not bus.is_watched
        assert not other.is_watched

    async def test_a_bus_is_watched_while_another_process_subscribes(
        self, bus: EventBus, other: EventBus
    ) -> None:
        async with other.subscribe(["a"]):
            await until(lambda: bus.is_watched)
            await asyncio.sleep(1.2 * PATIENCE)  # longer than one announcement is believed
            await until(lambda: bus.is_watched)
        await until(lambda: not bus.is_watched)
        assert not other.is_watched

    async def test_a_process_that_comes_later_learns_that_it_is_watched(
        self, bus: EventBus, new_channel: NewChannel
    ) -> None:
        async with bus.subscribe(["a"]) as events, opened(await new_channel()) as late:
            await until(lambda: late.is_watched)
            await late.publish([an_event("a", 1)])
            assert await following(events) == an_event("a", 1)

    async def test_what_was_published_last_is_sent_before_closing(
        self, bus: EventBus, other: EventBus
    ) -> None:
        async with other.subscribe(["a"]) as events:
            await until(lambda: bus.is_watched)
            await bus.publish([an_event("a", n) for n in range(100)])
            await bus.close()
            assert [(await following(events)).sequence for _ in range(100)] == list(range(100))

    async def test_one_bus_closes_and_the_other_goes_on(
        self, bus: EventBus, other: EventBus
    ) -> None:
        async with other.subscribe(["a"]) as events:
            await until(lambda: bus.is_watched)
            await bus.close()
            await other.publish([an_event("a", 1)])
            assert await following(events) == an_event("a", 1)


@asynccontextmanager
async def opened(
    channel: Channel, *, announcing: float = ANNOUNCING, patience: float = PATIENCE
) -> AsyncIterator[SharedEventBus]:
    """A bus on a channel, open for as long as the context is."""
    bus = SharedEventBus(channel, announcing=announcing, patience=patience)
    await bus.open()
    try:
        yield bus
    finally:
        await bus.close()


def an_event(id: str, sequence: int) -> Event:
    """An event about a task."""
    return Event(Subject.TASK, id, sequence, "status", NOW, {"state": "queued"})


async def following(events: AsyncIterator[Event]) -> Event:
    """The next event, soon."""
    async with asyncio.timeout(5):
        return await anext(events)


async def _count(events: AsyncIterator[Event]) -> int:
    return len([event async for event in events])


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what it asks for cannot set an Event
            await asyncio.sleep(0.005)
