"""Dividing a backlog: how much of each claim is the broker's, and when there is no backlog left."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest

from cueline.application.backlog import MOST_HEARD, UNHEARD_FOR, Backlog
from cueline.application.hints import Hints
from cueline.application.ports.broker import Delivery, Message
from cueline.domain.task import Priority, Task
from tests.factories import a_task


def deliveries(tasks: list[Task]) -> list[Delivery]:
    """What a broker says of tasks."""
    return [
        Delivery(Message(task.id, task.spec.queue, task.spec.priority), task.id) for task in tasks
    ]


def tasks(count: int, priority: Priority = Priority.NORMAL) -> list[Task]:
    """So many of one priority."""
    return [a_task(priority=priority) for _ in range(count)]


@dataclass
class Claims:
    """One claim after the other, while the broker and the store have as many as is said."""

    at_broker: int = 1_000_000
    broker_urgency: Priority = Priority.NORMAL
    urgent: int = 0
    """At the broker before those, and of a higher priority."""
    in_store: int = 1_000_000
    store_urgency: Priority = Priority.NORMAL
    backlog: Backlog = field(default_factory=Backlog)
    now: float = 0.0

    def hear(self, limit: int) -> list[Delivery]:
        """Ask the broker."""
        urgent = tasks(min(limit, self.urgent), Priority.HIGH)
        others = tasks(min(limit - len(urgent), self.at_broker), self.broker_urgency)
        self.urgent -= len(urgent)
        self.at_broker -= len(others)
        heard = deliveries(urgent + others)
        self.backlog.note_heard(limit, heard, self.now)
        return heard

    def claim(self, limit: int, *, stale: bool = False) -> tuple[int, int]:
        """How many the broker and the store gave; no task is behind the messages that are stale."""
        to_hear = self.backlog.to_hear(limit, self.now)
        heard = self.hear(to_hear) if to_hear else []
        hints = Hints(
            limit,
            frozenset(each.message.task_id for each in heard),
            tuple(heard),
            limit - len(heard),
            self.backlog.urgency,
        )
        given = 0
        if self.store_urgency <= hints.urgency:
            given = min(hints.from_store, self.in_store)
            self.in_store -= given
        found = [] if stale else [a_task(id=each.message.task_id) for each in heard]
        self.backlog.note_claimed(hints, found + tasks(given, self.store_urgency))
        return len(heard), given


def begun(claims: Claims | None = None) -> Claims:
    """Claims whose first one has filled what was asked of the store."""
    claims = claims or Claims()
    claims.claim(16)
    return claims


@pytest.mark.parametrize("distance", [0.0, UNHEARD_FOR / 3, UNHEARD_FOR, 10.0])
@pytest.mark.parametrize("limits", [[16], [100], [7], [16, 1], [100, 1, 3]])
def test_in_the_long_run_an_eighth_is_the_brokers(limits: list[int], distance: float) -> None:
    claims = begun()
    heard = given = 0
    for limit in islice(cycle(limits), 480):
        claims.now += distance
        of_broker, of_store = claims.claim(limit)
        heard, given = heard + of_broker, given + of_store
    assert 0.11 <= heard / (heard + given) <= 0.18  # all single ones may be the broker's


@pytest.mark.parametrize("limit", [2, 3, 4])
def test_a_slow_worker_of_few_slots_takes_one_of_each_claim_from_the_broker(limit: int) -> None:
    claims = begun()
    for _ in range(8):
        claims.now += 2 * UNHEARD_FOR
        assert claims.claim(limit) == (1, limit - 1)


def test_what_is_claimed_in_quick_succession_comes_from_one_place_each_time() -> None:
    claims = begun()
    assert [claims.claim(16) for _ in range(16)] == [*[(0, 16)] * 7, (16, 0)] * 2


def test_after_a_while_the_broker_is_asked_at_each_claim_for_what_it_is_owed() -> None:
    claims = begun()
    for _ in range(8):
        claims.now += 2 * UNHEARD_FOR
        assert claims.claim(16) == (2, 14)


def test_a_single_task_is_the_brokers_while_that_has_any() -> None:
    claims = begun(Claims(at_broker=6))
    assert [claims.claim(1) for _ in range(4)] == [(1, 0)] * 4
    assert claims.claim(1) == (0, 1)
    assert [claims.claim(1) for _ in range(6)] == [(0, 1)] * 6


def test_what_the_broker_has_no_more_of_holds_nothing_back() -> None:
    claims = begun(Claims(at_broker=3, broker_urgency=Priority.HIGH))
    claims.now += UNHEARD_FOR
    claims.claim(16)
    assert claims.backlog.urgency is Priority.LOW
    assert claims.claim(16) == (0, 16)


def test_what_is_left_at_the_broker_is_no_more_urgent_than_the_last_that_it_gave() -> None:
    claims = Claims(urgent=1)
    claims.hear(2)
    assert claims.backlog.urgency is Priority.NORMAL


def test_while_the_broker_has_more_urgent_ones_half_of_each_claim_is_asked_of_it() -> None:
    claims = Claims(broker_urgency=Priority.HIGH)
    claims.hear(16)
    assert [claims.claim(16) for _ in range(8)] == [(2, 0), *[(8, 0)] * 7]
    assert claims.backlog.is_there


def test_the_stores_most_urgent_ones_are_not_taken_for_its_rest() -> None:
    claims = begun()
    while claims.backlog.urgency is not Priority.HIGH:
        claims.urgent = 16
        claims.claim(16)
    mixed = tasks(8, Priority.HIGH) + tasks(8)
    claims.backlog.note_claimed(Hints(16, from_store=16, urgency=Priority.NORMAL), mixed)
    assert claims.backlog.to_hear(16, claims.now) == 8


def test_a_few_urgent_ones_in_each_round_do_not_shut_the_store_out() -> None:
    claims = begun()
    heard = given = 0
    for _ in range(30):
        claims.now += 1
        claims.urgent, free = 2, 16
        while free:
            of_broker, of_store = claims.claim(free)
            heard, given, free = heard + of_broker, given + of_store, free - of_broker - of_store
    assert given >= 0.4 * (heard + given)


def test_no_more_is_asked_at_once_than_a_broker_may_give() -> None:
    claims = begun()
    assert max(claims.claim(4000)[0] for _ in range(16)) == MOST_HEARD


def test_a_claim_that_was_held_back_does_not_end_the_backlog() -> None:
    claims = begun()
    claims.broker_urgency = Priority.HIGH
    while claims.backlog.urgency is not Priority.HIGH:
        claims.claim(16)
    claims.at_broker = 0
    for _ in range(3):
        claims.claim(16)
        assert claims.backlog.is_there
    assert claims.claim(16)[1] == 16


@pytest.mark.parametrize("limit", [1, 4, 16])
@pytest.mark.parametrize("at_broker", [0, 3, 14, 1_000])
@pytest.mark.parametrize("urgency", [Priority.NORMAL, Priority.HIGH])
def test_stale_messages_do_not_end_the_backlog(
    urgency: Priority, at_broker: int, limit: int
) -> None:
    claims = begun(Claims(broker_urgency=urgency))
    claims.at_broker = at_broker
    for _ in range(64):
        claims.claim(limit, stale=True)
        assert claims.backlog.is_there


def test_the_backlog_is_over_when_both_give_little() -> None:
    claims = begun(Claims(at_broker=2, in_store=14 + 16 + 3))
    assert claims.claim(16) == (0, 16)
    assert claims.claim(16) == (0, 3)
    assert claims.backlog.is_there  # what is less urgent than the broker's was not asked for
    assert claims.claim(16) == (0, 0)
    assert not claims.backlog.is_there


def test_the_backlog_is_over_when_a_claim_of_all_that_is_due_failed() -> None:
    claims = begun()
    claims.backlog.note_claimed(Hints(16, from_store=16), [])
    assert not claims.backlog.is_there


def test_a_worker_that_was_given_little_sees_no_backlog() -> None:
    backlog, [task] = Backlog(), tasks(1)
    heard = deliveries([task])
    backlog.note_heard(16, heard, 0.0)
    backlog.note_claimed(Hints.of(16, heard), [task])
    assert not backlog.is_there


def test_a_broker_that_gives_more_than_it_was_asked_for_may_have_more() -> None:
    backlog = Backlog()
    backlog.note_heard(1, deliveries(tasks(2, Priority.HIGH)), 0.0)
    assert backlog.urgency is Priority.HIGH


def test_who_asks_for_nothing_learns_nothing() -> None:
    backlog = Backlog()
    backlog.note_heard(0, [], 0.0)
    assert backlog.urgency is Priority.LOW
