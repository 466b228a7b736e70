"""The contract of a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.domain.task import Priority
from tests.contracts.broker_capabilities import BrokerCapabilitiesContract
from tests.doubles import FakeClock
from tests.factories import a_task_id

LONG = 30.0
"""Seconds that no test ever waits in full."""


class BrokerContract(BrokerCapabilitiesContract):
    """An adapter provides the fixture `broker`, whose redelivery goes by `clock`, and `other`."""

    redelivery = 30.0
    """After how many seconds the adapter delivers again."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def broker(self, clock: FakeClock) -> Broker:
        raise NotImplementedError

    # --- publishing and receiving -----------------------------------------------------------------

    async def test_a_message_arrives_as_it_was_published(self, broker: Broker) -> None:
        message = a_message("mail", Priority.LOW)
        await broker.publish([message])
        [delivery] = await broker.receive(["mail"], 10, 0)
        assert delivery.message == message

    async def test_messages_come_by_priority_then_age(self, broker: Broker) -> None:
        order = [Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.NORMAL, Priority.HIGH]
        messages = [a_message(priority=priority) for priority in order]
        for message in messages:
            await broker.publish([message])
        received = await broker.receive(["default"], 10, 0)
        assert tasks(received) == tasks([messages[n] for n in (2, 4, 1, 3, 0)])

    async def test_a_batch_keeps_its_order(self, broker: Broker) -> None:
        messages = [a_message() for _ in range(20)]
        await broker.publish(messages)
        assert tasks(await broker.receive(["default"], 20, 0)) == tasks(messages)

    async def test_priority_counts_across_queues(self, broker: Broker) -> None:
        low = a_message("first", Priority.LOW)
        high = a_message("second", Priority.HIGH)
        normal = a_message("third", Priority.NORMAL)
        await broker.publish([low, normal, high])
        received = await broker.receive(["first", "second", "third"], 2, 0)
        assert tasks(received) == tasks([high, normal])

    async def test_a_queue_that_is_never_empty_does_not_starve_another(
        self, broker: Broker
    ) -> None:
        alone = a_message("quiet")
        await broker.publish([*(a_message("busy") for _ in range(30)), alone])
        for _ in range(20):
            await broker.publish([a_message("busy") for _ in range(5)])
            received = await broker.receive(["busy", "quiet"], 5, 0)
            await broker.acknowledge(received)
            if alone.task_id in tasks(received):
                return
        pytest.fail("the quiet queue was starved")

    async def test_only_the_queues_asked_for_are_received(self, broker: Broker) -> None:
        mail, pdf = a_message("mail"), a_message("pdf", Priority.CRITICAL)
        await broker.publish([mail, pdf])
        assert tasks(await broker.receive(["mail", "other"], 9, 0)) == tasks([mail])
        assert tasks(await broker.receive(["pdf"], 9, 0)) == tasks([pdf])

    async def test_no_more_than_the_limit_is_received(self, broker: Broker) -> None:
        messages = [a_message() for _ in range(5)]
        await broker.publish(messages)
        assert tasks(await broker.receive(["default"], 2, 0)) == tasks(messages[:2])
        assert tasks(await broker.receive(["default"], 9, 0)) == tasks(messages[2:])

    async def test_publishing_nothing_is_allowed(self, broker: Broker) -> None:
        await broker.publish([])
        assert await broker.receive(["default"], 9, 0) == []

    async def test_a_message_may_be_published_twice(self, broker: Broker) -> None:
        message = a_message()
        await broker.publish([message])
        await broker.publish([message])
        received = await broker.receive(["default"], 9, 0)
        assert set(tasks(received)) == {message.task_id}
        await broker.acknowledge(received)
        assert await broker.depth("default") == 0

    # --- waiting ----------------------------------------------------------------------------------

    async def test_an_empty_queue_gives_nothing_once_the_wait_is_over(self, broker: Broker) -> None:
        assert await broker.receive(["default"], 9, 0) == []
        assert await broker.receive(["default"], 9, 0.01) == []

    async def test_what_is_there_is_given_without_waiting_for_more(self, broker: Broker) -> None:
        await broker.publish([a_message()])
        async with asyncio.timeout(LONG / 2):
            assert len(await broker.receive(["default"], 9, LONG)) == 1

    async def test_a_waiting_receiver_is_woken_by_a_message(self, broker: Broker) -> None:
        message = a_message("mail")
        receiver = await waiting(broker, ["pdf", "mail"])
        await broker.publish([message])
        assert tasks(await soon(receiver)) == tasks([message])

    async def test_a_waiting_receiver_sleeps_on_for_other_queues(self, broker: Broker) -> None:
        wanted, other = a_message("mail"), a_message("pdf")
        receiver = await waiting(broker, ["mail"])
        await broker.publish([other])
        await broker.publish([wanted])
        assert tasks(await soon(receiver)) == tasks([wanted])

    async def test_several_waiting_receivers_share_what_comes(self, broker: Broker) -> None:
        receivers = [await waiting(broker, ["default"], limit=1) for _ in range(4)]
        messages = [a_message() for _ in range(4)]
        await broker.publish(messages)
        received = [await soon(receiver) for receiver in receivers]
        assert sorted(task for part in received for task in tasks(part)) == tasks(messages)

    async def test_a_receiver_that_gives_up_takes_nothing_with_it(self, broker: Broker) -> None:
        receiver = await waiting(broker, ["default"])
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        message = a_message()
        await broker.publish([message])
        assert tasks(await broker.receive(["default"], 9, 1)) == tasks([message])

    async def test_closing_wakes_waiting_receivers(self, broker: Broker) -> None:
        receivers = [await waiting(broker, ["default"]) for _ in range(3)]
        await broker.close()
        assert [await soon(receiver) for receiver in receivers] == [[], [], []]

    async def test_closing_twice_is_closing_once(self, broker: Broker) -> None:
        await broker.close()
        await broker.close()

    # --- acknowledging ----------------------------------------------------------------------------

    async def test_a_delivery_belongs_to_one_receiver(self, broker: Broker) -> None:
        messages = [a_message(priority=Priority(n % 4)) for n in range(200)]
        await broker.publish(messages)

        async def receive_all() -> list[Delivery]:
            received: list[Delivery] = []
            while some := await broker.receive(["default"], 7, 0):
                received += some
            return received

        parts = await asyncio.gather(*(receive_all() for _ in range(5)))
        received = [delivery for part in parts for delivery in part]
        assert sorted(tasks(received)) == sorted(tasks(messages))
        assert len({delivery.tag for delivery in received}) == 200

    async def test_what_is_acknowledged_is_forgotten(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        await broker.publish([a_message(), a_message()])
        received = await broker.receive(["default"], 9, 0)
        await broker.acknowledge(received)
        clock.advance(10 * self.redelivery)
        assert await broker.receive(["default"], 9, 0) == []
        assert await broker.depth("default") == 0

    async def test_what_is_not_acknowledged_comes_back(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        messages = [a_message(priority=priority) for priority in Priority]
        await broker.publish(messages)
        first = await broker.receive(["default"], 9, 0)
        await broker.acknowledge(first[:1])
        clock.advance(self.redelivery - 1)
        assert await broker.receive(["default"], 9, 0) == []
        clock.advance(2)
        second = await broker.receive(["default"], 9, 0)
        assert tasks(second) == tasks(messages[1:])
        await broker.acknowledge(second)
        clock.advance(10 * self.redelivery)
        assert await broker.receive(["default"], 9, 0) == []

    async def test_what_comes_back_is_as_old_as_it_was(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        old, new = a_message(), a_message()
        await broker.publish([old])
        await broker.receive(["default"], 9, 0)
        await broker.publish([new])
        clock.advance(self.redelivery + 1)
        assert tasks(await broker.receive(["default"], 9, 0)) == tasks([old, new])

    async def test_acknowledging_again_or_nothing_does_nothing(self, broker: Broker) -> None:
        await broker.publish([a_message(), a_message()])
        [first] = await broker.receive(["default"], 1, 0)
        await broker.acknowledge([first])
        await broker.acknowledge([first])
        await broker.acknowledge([])
        assert await broker.depth("default") == 1

    async def test_acknowledging_too_late_does_nothing(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        await broker.publish([a_message()])
        late = await broker.receive(["default"], 1, 0)
        clock.advance(self.redelivery + 1)
        again = await broker.receive(["default"], 1, 0)
        await broker.acknowledge(late)
        assert await broker.depth("default") == 1
        await broker.acknowledge(again)
        assert await broker.depth("default") == 0

    # --- depth and wiping -------------------------------------------------------------------------

    async def test_depth_counts_until_acknowledged(self, broker: Broker) -> None:
        assert await broker.depth("default") == 0
        await broker.publish([*(a_message() for _ in range(3)), a_message("other")])
        assert await broker.depth("default") == 3
        received = await broker.receive(["default"], 2, 0)
        assert await broker.depth("default") == 3
        await broker.acknowledge(received)
        assert await broker.depth("default") == 1
        assert await broker.depth("other") == 1

    async def test_depth_tells_the_priorities_apart(self, broker: Broker) -> None:
        wanted = {Priority.CRITICAL: 1, Priority.NORMAL: 3, Priority.LOW: 2}
        for priority, count in wanted.items():
            await broker.publish([a_message(priority=priority) for _ in range(count)])
        depths = await broker.depths("default")
        assert {priority: count for priority, count in depths.items() if count} == wanted

    async def test_depth_stays_true_when_something_comes_back(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        await broker.publish([a_message(), a_message()])
        await broker.receive(["default"], 2, 0)
        clock.advance(self.redelivery + 1)
        assert await broker.depth("default") == 2
        await broker.receive(["default"], 1, 0)
        assert await broker.depth("default") == 2

    async def test_a_wiped_broker_has_forgotten_everything(
        self, broker: Broker, clock: FakeClock
    ) -> None:
        await broker.publish([a_message(), a_message("other"), a_message()])
        received = await broker.receive(["default"], 1, 0)
        await broker.wipe()
        assert await broker.depth("default") == 0
        assert await broker.depth("other") == 0
        await broker.acknowledge(received)
        clock.advance(10 * self.redelivery)
        assert await broker.receive(["default", "other"], 9, 0) == []
        assert await broker.depth("default") == 0

    async def test_a_wiped_broker_goes_on(self, broker: Broker) -> None:
        await broker.publish([a_message()])
        await broker.wipe()
        message = a_message()
        await broker.publish([message])
        assert tasks(await broker.receive(["default"], 9, 0)) == tasks([message])

    # --- many -------------------------------------------------------------------------------------

    async def test_publishers_and_receivers_at_once_lose_nothing(self, broker: Broker) -> None:
        batches = [[a_message(f"q{n % 3}") for _ in range(10)] for n in range(20)]
        expected = {message.task_id for batch in batches for message in batch}
        seen: list[str] = []

        async def receive() -> None:
            while len(seen) < len(expected):
                received = await broker.receive(["q0", "q1", "q2"], 5, 0.05)
                seen.extend(tasks(received))
                await broker.acknowledge(received)

        receivers = [asyncio.create_task(receive()) for _ in range(4)]
        await asyncio.gather(*(broker.publish(batch) for batch in batches))
        async with asyncio.timeout(LONG):
            await asyncio.gather(*receivers)
        assert sorted(seen) == sorted(expected)
        assert [await broker.depth(f"q{n}") for n in range(3)] == [0, 0, 0]


def a_message(queue: str = "default", priority: Priority = Priority.NORMAL) -> Message:
    """A message about a task that no other message is about."""
    return Message(a_task_id(), queue, priority)


def tasks(items: Sequence[Message | Delivery]) -> list[str]:
    """The tasks that messages or deliveries are about."""
    return [item.task_id if isinstance(item, Message) else item.message.task_id for item in items]


async def waiting(
    broker: Broker, queues: Sequence[str], limit: int = 9
) -> asyncio.Task[list[Delivery]]:
    """A receiver that has begun to wait, as far as one round trip to the broker can tell."""
    receiver = asyncio.create_task(broker.receive(queues, limit, LONG))
    await asyncio.sleep(0)
    await broker.depth("nothing")
    return receiver


async def soon(receiver: asyncio.Task[list[Delivery]]) -> list[Delivery]:
    """What a receiver answers, well before its wait would be over."""
    async with asyncio.timeout(LONG / 2):
        return await receiver
