"""The RabbitMQ adapters keep the contracts of their ports, and what else they promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from cueline.application.ports.broker import Delivery
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.rabbitmq.broker import RabbitBroker
from cueline.infrastructure.rabbitmq.channel import RabbitChannel
from cueline.infrastructure.rabbitmq.lanes import Lane
from tests.contracts.broker import LONG, BrokerContract, a_message, soon, tasks, waiting
from tests.doubles import FakeClock
from tests.integration.rabbitmq import CountingMetrics, Ear, put, until


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> CountingMetrics:
    return CountingMetrics()


@pytest.fixture
async def broker(
    rabbitmq_url: str, namespace: str, clock: FakeClock, metrics: CountingMetrics
) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(rabbitmq_url, namespace, clock, metrics)
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
async def other(rabbitmq_url: str, namespace: str, clock: FakeClock) -> AsyncIterator[RabbitBroker]:
    """A broker of the same namespace, as another process has it."""
    other = RabbitBroker(rabbitmq_url, namespace, clock, CountingMetrics())
    await other.open()
    yield other
    await other.close()


class TestRabbitBroker(BrokerContract):
    adapter = RabbitBroker

    @pytest.fixture
    def broker(self, broker: RabbitBroker) -> RabbitBroker:
        return broker

    @pytest.fixture
    def other(self, other: RabbitBroker) -> RabbitBroker:
        return other


class TestSeveralProcesses:
    async def test_what_one_publishes_another_receives(
        self, broker: RabbitBroker, other: RabbitBroker
    ) -> None:
        receiver = await waiting(other, ["default"])
        message = a_message()
        await broker.publish([message])
        assert tasks(await soon(receiver)) == tasks([message])

    async def test_what_one_has_fetched_and_does_not_want_goes_to_another(
        self, broker: RabbitBroker, other: RabbitBroker
    ) -> None:
        messages = [a_message(priority=priority) for priority in Priority for _ in range(5)]
        await broker.publish(messages)
        [kept] = await broker.receive(["default"], 1, 0)
        received = await receive_all(other, len(messages) - 1)
        assert sorted(tasks([kept, *received])) == sorted(tasks(messages))

    async def test_what_one_does_not_acknowledge_goes_to_another(
        self, broker: RabbitBroker, other: RabbitBroker, clock: FakeClock
    ) -> None:
        message = a_message()
        await broker.publish([message])
        await broker.receive(["default"], 1, 0)
        receiver = await waiting(other, ["default"])
        clock.advance(31)
        assert tasks(await soon(receiver)) == tasks([message])

    async def test_what_one_held_when_it_closed_goes_to_another(
        self, broker: RabbitBroker, other: RabbitBroker
    ) -> None:
        messages = [a_message() for _ in range(3)]
        await broker.publish(messages)
        await broker.receive(["default"], 2, 0)
        await broker.close()
        assert sorted(tasks(await receive_all(other, 3))) == sorted(tasks(messages))

    async def test_a_queue_is_not_kept_from_others_by_the_wish_for_another_queue(
        self, broker: RabbitBroker, other: RabbitBroker
    ) -> None:
        messages = [a_message("mail") for _ in range(3)]
        await broker.publish(messages)
        [kept] = await broker.receive(["mail"], 1, 0)
        receiver = await waiting(broker, ["pdf"])
        received = await receive_all(other, 2, "mail")
        assert sorted(tasks([kept, *received])) == sorted(tasks(messages))
        receiver.cancel()

    async def test_namespaces_share_nothing(
        self, broker: RabbitBroker, rabbitmq_url: str, namespace: str, clock: FakeClock
    ) -> None:
        await broker.publish([a_message()])
        stranger = RabbitBroker(rabbitmq_url, f"{namespace}x", clock, CountingMetrics())
        await stranger.open()
        assert await stranger.receive(["default"], 9, 0) == []
        await stranger.close()


class TestMessagesThatAreNotOurs:
    @pytest.mark.parametrize(
        "hint",
        [
            b"",
            b"\xff\x00\xfe garbage",
            encode(a_message()).replace(b"1", b"0", 1),
            encode(a_message("other")),
            encode(a_message(priority=Priority.CRITICAL)),
        ],
        ids=["nothing", "bytes", "another version", "another queue", "another priority"],
    )
    async def test_they_are_dropped_and_counted(
        self,
        broker: RabbitBroker,
        metrics: CountingMetrics,
        rabbitmq_url: str,
        namespace: str,
        hint: bytes,
    ) -> None:
        lane = Lane("default", Priority.NORMAL)
        message = a_message()
        await broker.depth("default")
        await put(rabbitmq_url, lane.name(namespace), [hint] * 30)
        await broker.publish([message])
        assert tasks(await broker.receive(["default"], 5, LONG)) == tasks([message])
        assert metrics.refused["malformed"] == 30
        assert await broker.depth("default") == 1

    async def test_they_do_not_end_the_wait_for_others(
        self,
        broker: RabbitBroker,
        metrics: CountingMetrics,
        rabbitmq_url: str,
        namespace: str,
    ) -> None:
        receiver = await waiting(broker, ["default"])
        lane = Lane("default", Priority.HIGH)
        await put(rabbitmq_url, lane.name(namespace), [b"garbage"])
        await until(lambda: metrics.refused["malformed"] == 1)
        message = a_message()
        await broker.publish([message])
        assert tasks(await soon(receiver)) == tasks([message])


class TestRabbitChannel:
    async def test_everybody_hears_everybody_in_order(
        self, rabbitmq_url: str, namespace: str
    ) -> None:
        async with AsyncExitStack() as stack:
            ears = [Ear(), Ear()]
            channels = [RabbitChannel(rabbitmq_url, namespace) for _ in ears]
            for channel, ear in zip(channels, ears, strict=True):
                await channel.open(ear)
                stack.push_async_callback(channel.close)
            sent = [f"{number}".encode() for number in range(200)]
            await asyncio.gather(*(channels[0].send(payload) for payload in sent))
            await until(lambda: all(ear.heard == sent for ear in ears))
            await channels[1].send(b"from the other")
            await until(lambda: all(ear.heard[-1] == b"from the other" for ear in ears))

    async def test_it_carries_the_largest_payload(self, rabbitmq_url: str, namespace: str) -> None:
        ear = Ear()
        channel = RabbitChannel(rabbitmq_url, namespace)
        await channel.open(ear)
        await channel.send(b"x" * RabbitChannel.largest)
        await until(lambda: ear.heard == [b"x" * RabbitChannel.largest])
        await channel.close()
        await channel.close()

    async def test_other_namespaces_are_not_heard(self, rabbitmq_url: str, namespace: str) -> None:
        ours, theirs = Ear(), Ear()
        channel = RabbitChannel(rabbitmq_url, namespace)
        stranger = RabbitChannel(rabbitmq_url, f"{namespace}x")
        await channel.open(ours)
        await stranger.open(theirs)
        await stranger.send(b"theirs")
        await channel.send(b"ours")
        await until(lambda: ours.heard == [b"ours"] and theirs.heard == [b"theirs"])
        await channel.close()
        await stranger.close()


async def receive_all(broker: RabbitBroker, count: int, queue: str = "default") -> list[Delivery]:
    """So many deliveries, however few come at a time."""
    received: list[Delivery] = []
    async with asyncio.timeout(LONG):
        while len(received) < count:
            received += await broker.receive([queue], count - len(received), LONG)
    return received
