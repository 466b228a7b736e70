"""What the memory broker and event bus promise beyond their ports."""

from __future__ import annotations

import asyncio

import pytest

from cueline.domain.errors import Unavailable
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.events import MemoryEventBus
from tests.contracts.broker import a_message, tasks, waiting
from tests.contracts.event_bus import an_event, following
from tests.doubles import FakeClock


async def test_a_closed_broker_is_unavailable_until_it_is_opened_again() -> None:
    broker = MemoryBroker(FakeClock())
    await broker.close()
    with pytest.raises(Unavailable, match="closed"):
        await broker.receive(["default"], 1, 0)
    with pytest.raises(Unavailable, match="closed"):
        await broker.publish([a_message()])
    await broker.open()
    await broker.publish([a_message()])
    assert len(await broker.receive(["default"], 1, 0)) == 1


async def test_redelivery_wakes_a_waiting_receiver() -> None:
    clock = FakeClock()
    broker = MemoryBroker(clock, redelivery=0.001)
    message = a_message()
    await broker.publish([message])
    await broker.receive(["default"], 1, 0)
    receiver = await waiting(broker, ["default"])
    clock.advance(1)
    assert tasks(await receiver) == tasks([message])


async def test_the_time_to_redelivery_can_be_chosen() -> None:
    clock = FakeClock()
    broker = MemoryBroker(clock, redelivery=5)
    await broker.publish([a_message()])
    await broker.receive(["default"], 1, 0)
    clock.advance(4)
    assert await broker.receive(["default"], 1, 0) == []
    clock.advance(1)
    assert len(await broker.receive(["default"], 1, 0)) == 1


async def test_receivers_leave_nothing_behind() -> None:
    broker = MemoryBroker(FakeClock())
    receivers = [await waiting(broker, ["default"]) for _ in range(3)]
    for receiver in receivers:
        receiver.cancel()
    await asyncio.gather(*receivers, return_exceptions=True)
    assert not broker._waiting


async def test_a_subscriber_keeps_the_newest_of_what_it_could_not_read() -> None:
    bus = MemoryEventBus(backlog=3)
    async with bus.subscribe(["a"]) as events:
        await bus.publish([an_event("a", number) for number in range(1, 6)])
        assert [(await following(events)).sequence for _ in range(3)] == [3, 4, 5]


async def test_what_arrived_before_the_bus_was_closed_can_still_be_read() -> None:
    bus = MemoryEventBus()
    async with bus.subscribe(["a"]) as events:
        await bus.publish([an_event("a", 1)])
        await bus.close()
        assert [event.sequence async for event in events] == [1]


async def test_subscribers_leave_nothing_behind() -> None:
    bus = MemoryEventBus()
    async with bus.subscribe(["a", "b"]):
        assert bus.is_watched
    assert not bus.is_watched
