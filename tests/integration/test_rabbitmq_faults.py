"""The RabbitMQ adapters when something breaks: connection, channel, queues or server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from urllib.parse import urlsplit

import pytest
from aio_pika.abc import AbstractConnection
from aiormq import Channel as AmqpChannel

from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.rabbitmq import link as link_module
from cueline.infrastructure.rabbitmq.broker import RabbitBroker
from cueline.infrastructure.rabbitmq.channel import RabbitChannel
from cueline.infrastructure.rabbitmq.lanes import lanes_of
from cueline.infrastructure.rabbitmq.link import Link, Session, open_channel
from tests.contracts.broker import LONG, a_message, soon, tasks, waiting
from tests.doubles import FakeClock
from tests.integration.gate import Gate, by_way_of, gate_before
from tests.integration.rabbitmq import CountingMetrics, Ear, delete, until


@pytest.fixture
async def gate(rabbitmq_url: str) -> AsyncIterator[Gate]:
    async with gate_before(rabbitmq_url) as gate:
        yield gate


@pytest.fixture
async def broker(rabbitmq_url: str, namespace: str, gate: Gate) -> AsyncIterator[RabbitBroker]:
    """A broker whose way to the server can be broken."""
    broker = RabbitBroker(
        by_way_of(rabbitmq_url, gate.port), namespace, FakeClock(), CountingMetrics()
    )
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class TestLosingTheConnection:
    async def test_what_was_not_acknowledged_comes_again(
        self, broker: RabbitBroker, gate: Gate
    ) -> None:
        message = a_message()
        await broker.publish([message])
        [lost] = await broker.receive(["default"], 1, 0)
        await gate.cut()
        await answering(broker)
        [again] = await broker.receive(["default"], 1, LONG)
        assert again.message == message
        await broker.acknowledge([lost])
        assert await broker.depth("default") == 1
        await broker.acknowledge([again])
        assert await broker.depth("default") == 0

    async def test_a_receiver_is_told(self, broker: RabbitBroker, gate: Gate) -> None:
        receiver = await waiting(broker, ["default"])
        await gate.cut()
        with pytest.raises(Unavailable):
            await soon(receiver)

    async def test_receiving_goes_on_after_each_of_several_cuts(
        self, broker: RabbitBroker, gate: Gate
    ) -> None:
        for _ in range(3):
            await gate.cut()
            await answering(broker)
            message = a_message()
            await broker.publish([message])
            received: list[str] = []
            while message.task_id not in received:  # an acknowledgement may fall into the cut
                deliveries = await broker.receive(["default"], 9, LONG)
                received += tasks(deliveries)
                await broker.acknowledge(deliveries)

    async def test_nothing_is_lost_when_cuts_fall_into_the_work(
        self, broker: RabbitBroker, gate: Gate
    ) -> None:
        seen: set[str] = set()
        messages = [a_message(priority=Priority(n % 4)) for n in range(400)]

        async def publish() -> None:
            for start in range(0, len(messages), 20):
                await persistently(partial(broker.publish, messages[start : start + 20]))

        async def receive() -> None:
            while len(seen) < len(messages):
                try:
                    received = await broker.receive(["default"], 30, 0.05)
                    await broker.acknowledge(received)
                except Unavailable:
                    await asyncio.sleep(0.01)
                else:
                    seen.update(tasks(received))

        def has_seen(share: int) -> bool:
            return len(seen) >= share

        async def cut() -> None:
            for share in (50, 150, 300):
                await until(partial(has_seen, share))
                await gate.cut()

        async with asyncio.timeout(LONG):
            await asyncio.gather(publish(), receive(), receive(), cut())
        assert seen == set(tasks(messages))

    async def test_a_server_that_falls_silent_is_given_up_soon(
        self, broker: RabbitBroker, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link_module, "ANSWER_WITHIN", 0.3)
        gate.freeze()
        with pytest.raises(Unavailable):
            await broker.publish([a_message()])
        await answering(broker)


class TestServerThatIsAway:
    async def test_everything_fails_at_once_and_nothing_tells_the_password(
        self, namespace: str, closed_port: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = f"amqp://user:very-secret@127.0.0.1:{closed_port}/"
        broker = RabbitBroker(url, namespace, FakeClock(), CountingMetrics())
        with caplog.at_level(logging.DEBUG):
            await broker.open()
            attempts: list[Coroutine[None, None, object]] = [
                broker.publish([a_message()]),
                broker.receive(["default"], 9, LONG),
                broker.depth("default"),
                broker.wipe(),
            ]
            for attempt in attempts:
                with pytest.raises(Unavailable) as caught:
                    async with asyncio.timeout(LONG / 2):
                        await attempt
                assert "very-secret" not in str(caught.value)
        await broker.close()
        assert "very-secret" not in caplog.text

    async def test_when_it_comes_it_is_used(
        self, rabbitmq_url: str, namespace: str, gate: Gate
    ) -> None:
        await gate.shut()
        url = by_way_of(rabbitmq_url, gate.port)
        broker = RabbitBroker(url, namespace, FakeClock(), CountingMetrics())
        await broker.open()
        with pytest.raises(Unavailable):
            await broker.depth("default")
        await gate.open()
        await answering(broker)
        await broker.publish([a_message()])
        assert await broker.depth("default") == 1
        await broker.close()

    async def test_a_login_that_is_refused_is_unavailable(
        self, rabbitmq_url: str, namespace: str
    ) -> None:
        parts = urlsplit(rabbitmq_url)
        stranger = f"amqp://nobody:very-secret@{parts.hostname}:{parts.port or 5672}/"
        broker = RabbitBroker(stranger, namespace, FakeClock(), CountingMetrics())
        await broker.open()
        with pytest.raises(Unavailable) as caught:
            await broker.publish([a_message()])
        assert "very-secret" not in str(caught.value)
        await broker.close()


class TestDeletedQueues:
    async def test_a_waiting_receiver_hears_of_what_is_published_after_it(
        self, broker: RabbitBroker, rabbitmq_url: str, namespace: str
    ) -> None:
        await broker.publish([a_message()])
        await broker.acknowledge(await broker.receive(["default"], 1, 0))
        receiver = await waiting(broker, ["default"])
        await delete(rabbitmq_url, [lane.name(namespace) for lane in lanes_of("default")])
        message = a_message()
        await broker.publish([message])
        assert tasks(await soon(receiver)) == tasks([message])

    async def test_publishing_makes_them_again(
        self, broker: RabbitBroker, rabbitmq_url: str, namespace: str
    ) -> None:
        await broker.publish([a_message(), a_message("other")])
        await delete(rabbitmq_url, [lane.name(namespace) for lane in lanes_of("default")])
        messages = [a_message(), a_message("other"), a_message()]
        await broker.publish(messages)
        assert await broker.depth("default") == 2
        assert await broker.depth("other") == 2

    async def test_deliveries_of_them_can_still_be_acknowledged(
        self, broker: RabbitBroker, rabbitmq_url: str, namespace: str
    ) -> None:
        await broker.publish([a_message()])
        received = await broker.receive(["default"], 1, 0)
        await delete(rabbitmq_url, [lane.name(namespace) for lane in lanes_of("default")])
        await broker.acknowledge(received)
        assert await broker.depth("default") == 0


class TestBreakingOff:
    async def test_a_receiver_that_is_cancelled_while_it_begins_breaks_nothing(
        self, broker: RabbitBroker
    ) -> None:
        messages = [a_message() for _ in range(3)]
        await broker.publish(messages)
        for turns in range(12):
            receiver = asyncio.create_task(broker.receive(["default"], 9, LONG))
            for _ in range(turns):
                await asyncio.sleep(0)
            if receiver.done():
                break
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
        assert await broker.depth("default") == 3

    async def test_a_cancelled_question_breaks_nothing(self, broker: RabbitBroker) -> None:
        [delivery] = [a_message()]
        await broker.publish([delivery])
        asked = asyncio.create_task(broker.depth("default"))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert await broker.depth("default") == 1


class OneChannel(Session):
    """A session that is nothing but a channel."""

    def __init__(self, channel: AmqpChannel, lost: Callable[[], None]) -> None:
        self._channel = channel
        self.lost = lost
        self.ended = False

    async def question(self) -> None:
        """Do what the server answers."""
        await self._channel.queue_declare(exclusive=True)

    async def offend(self) -> None:
        """Do what the server answers by closing the channel."""
        await self._channel.basic_ack(4711, wait=False)

    def end(self) -> None:
        self.ended = True


class TestLink:
    @pytest.fixture
    def sessions(self) -> list[OneChannel]:
        """The sessions there have been."""
        return []

    @pytest.fixture
    async def link(
        self, rabbitmq_url: str, sessions: list[OneChannel]
    ) -> AsyncIterator[Link[OneChannel]]:
        async def begin(connection: AbstractConnection, lost: Callable[[], None]) -> OneChannel:
            channel = await open_channel(connection, lost, confirms=False)
            sessions.append(OneChannel(channel, lost))
            return sessions[-1]

        link = Link(rabbitmq_url, "test", begin)
        await link.open()
        yield link
        await link.close()

    async def test_a_channel_that_the_server_closes_is_replaced(
        self, link: Link[OneChannel], sessions: list[OneChannel]
    ) -> None:
        await link.ask(lambda session: session.offend())
        await until(lambda: len(sessions) == 2)
        assert [session.ended for session in sessions] == [True, False]
        await persistently(lambda: link.ask(lambda session: session.question()))

    async def test_a_question_at_the_moment_of_the_loss_is_not_answered(
        self, link: Link[OneChannel]
    ) -> None:
        asked = asyncio.create_task(link.ask(lambda session: session.question()))
        link.session.lost()
        with pytest.raises(Unavailable):
            await asked

    async def test_closing_ends_the_session(
        self, link: Link[OneChannel], sessions: list[OneChannel]
    ) -> None:
        asked = asyncio.create_task(link.ask(lambda session: session.question()))
        await asyncio.sleep(0)
        await link.close()
        assert sessions[0].ended
        with pytest.raises(Unavailable):
            await asked
        with pytest.raises(Unavailable):
            await link.ask(lambda session: session.question())


class TestRabbitChannel:
    async def test_it_hears_again_after_a_cut(
        self, rabbitmq_url: str, namespace: str, gate: Gate
    ) -> None:
        ear = Ear()
        channel = RabbitChannel(by_way_of(rabbitmq_url, gate.port), namespace)
        sender = RabbitChannel(rabbitmq_url, namespace)
        await channel.open(ear)
        await sender.open(Ear())
        await gate.cut()
        async with asyncio.timeout(LONG):
            while not {b"own", b"of another"}.issubset(
                ear.heard
            ):  # what falls into the gap is lost
                await persistently(lambda: channel.send(b"own"))
                await sender.send(b"of another")
                await asyncio.sleep(0.01)
        await channel.close()
        await sender.close()

    async def test_without_a_server_it_opens_and_sends_nothing(
        self, namespace: str, closed_port: int
    ) -> None:
        channel = RabbitChannel(f"amqp://guest:guest@127.0.0.1:{closed_port}/", namespace)
        await channel.open(Ear())
        with pytest.raises(Unavailable):
            await channel.send(b"into the void")
        await channel.close()


async def answering(broker: RabbitBroker) -> None:
    """Wait until the broker answers, by way of a new connection if it has lost the old one."""
    await persistently(lambda: broker.depth("default"))


async def persistently(work: Callable[[], Awaitable[object]]) -> None:
    """Do something again until the broker answers."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                await work()
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                return
