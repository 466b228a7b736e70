"""The inbox of the RabbitMQ broker: what came and is not answered yet."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from cueline.application.ports.broker import Message
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.rabbitmq.inbox import Answer, Consumer, Inbox
from cueline.infrastructure.rabbitmq.lanes import Lane
from tests.doubles import NOW
from tests.factories import a_task_id

SOON, LATER = NOW + timedelta(seconds=1), NOW + timedelta(seconds=2)


class Sender:
    """The server's side: numbers what it sends."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._numbers = count(1)
        self._consumers: dict[Lane, Consumer] = {}

    def consumer(self, queue: str = "mail", priority: Priority = Priority.NORMAL) -> Consumer:
        lane = Lane(queue, priority)
        return self._consumers.setdefault(lane, Consumer(lane, prefetch=10, tag=f"{lane}"))

    def send(self, queue: str = "mail", priority: Priority = Priority.NORMAL) -> Message:
        message = Message(a_task_id(), queue, priority)
        consumer = self.consumer(queue, priority)
        self._inbox.arrive(consumer, next(self._numbers), encode(message))
        return message

    def send_garbage(self, hint: bytes = b"garbage") -> None:
        self._inbox.arrive(self.consumer(), next(self._numbers), hint)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(epoch=7)


@pytest.fixture
def sender(inbox: Inbox) -> Sender:
    return Sender(inbox)


def take(inbox: Inbox, limit: int = 9, *queues: str) -> list[Message]:
    return [delivery.message for delivery in inbox.take(queues or ("mail",), limit, SOON)]


def test_the_urgent_are_handed_out_first_then_the_older(inbox: Inbox, sender: Sender) -> None:
    low, first, second, high = (
        sender.send(priority=priority)
        for priority in (Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH)
    )
    assert take(inbox) == [high, first, second, low]


def test_queues_take_turns_within_a_priority(inbox: Inbox, sender: Sender) -> None:
    for _ in range(9):
        sender.send("busy")
    quiet = sender.send("quiet")
    assert quiet in take(inbox, 2, "busy", "quiet")


def test_queues_take_turns_at_being_first(inbox: Inbox, sender: Sender) -> None:
    for _ in range(4):
        sender.send("one")
        sender.send("two")
    first = [take(inbox, 1, "one", "two")[0].queue for _ in range(4)]
    assert first == ["one", "two", "one", "two"]


def test_a_batch_without_gaps_is_acknowledged_by_one_answer(inbox: Inbox, sender: Sender) -> None:
    for _ in range(5):
        sender.send()
    taken = inbox.take(["mail"], 3, SOON)
    assert inbox.acknowledge(delivery.tag for delivery in taken) == [Answer(3, multiple=True)]
    assert len(inbox) == 2


def test_what_is_not_answered_is_never_included_in_another_answer(
    inbox: Inbox, sender: Sender
) -> None:
    for _ in range(4):
        sender.send()
    one, _two, three, four = inbox.take(["mail"], 4, SOON)
    answers = inbox.acknowledge([four.tag, one.tag, three.tag])
    assert answers[0] == Answer(1, multiple=True)
    assert sorted(answers[1:]) == [Answer(3, multiple=False), Answer(4, multiple=False)]
    assert len(inbox) == 1


def test_a_tag_is_good_for_once(inbox: Inbox, sender: Sender) -> None:
    sender.send()
    [late] = inbox.take(["mail"], 1, SOON)
    inbox.bring_back(SOON)
    [again] = inbox.take(["mail"], 1, LATER)
    assert inbox.acknowledge([late.tag]) == []
    assert inbox.acknowledge([again.tag, again.tag]) == [Answer(1, multiple=True)]


def test_what_comes_back_is_as_old_as_it_was(inbox: Inbox, sender: Sender) -> None:
    old = sender.send()
    assert take(inbox, 1) == [old]
    new = sender.send()
    assert inbox.bring_back(NOW) == set()
    assert inbox.bring_back(SOON) == {"mail"}
    assert take(inbox) == [old, new]


def test_what_waits_can_be_given_back_and_what_is_handed_out_stays(
    inbox: Inbox, sender: Sender
) -> None:
    for queue in ("mail", "mail", "pdf"):
        sender.send(queue)
    take(inbox, 1)
    assert inbox.give_back({"mail"}) == [Answer(2, multiple=False)]
    assert inbox.waiting_queues == {"pdf"}
    assert inbox.count(Lane("mail", Priority.NORMAL)) == 1


def test_a_hint_is_believed_only_if_it_came_by_its_own_lane(inbox: Inbox, sender: Sender) -> None:
    sender.send_garbage()
    sender.send_garbage(encode(Message(a_task_id(), "pdf", Priority.NORMAL)))
    sender.send_garbage(encode(Message(a_task_id(), "mail", Priority.CRITICAL)))
    believed = sender.send()
    assert inbox.malformed == 3
    assert inbox.drop_malformed() == [Answer(3, multiple=True)]
    assert take(inbox, 9, "mail", "pdf") == [believed]


def test_a_consumer_knows_how_much_more_it_can_hold(inbox: Inbox, sender: Sender) -> None:
    for _ in range(8):
        sender.send()
    taken = inbox.take(["mail"], 8, SOON)
    assert sender.consumer().can_hold(2)
    assert not sender.consumer().can_hold(3)
    inbox.acknowledge([taken[0].tag])
    assert sender.consumer().can_hold(3)
    inbox.bring_back(SOON)
    assert sender.consumer().can_hold(10)


def test_a_cleared_inbox_has_one_answer_for_everything(inbox: Inbox, sender: Sender) -> None:
    for queue in ("mail", "pdf", "mail"):
        sender.send(queue)
    [delivery] = inbox.take(["mail"], 1, SOON)
    sender.send_garbage()
    assert inbox.clear() == [Answer(4, multiple=True)]
    assert inbox.acknowledge([delivery.tag]) == []
    assert inbox.bring_back(LATER) == set()
    assert take(inbox, 9, "mail", "pdf") == []
    assert len(inbox) == inbox.malformed == 0
