"""Which outcomes are settled together."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cueline.application.outcomes import Outcome, Succeeded
from cueline.domain.identifiers import Purpose, RunId
from cueline.domain.task import Origin
from cueline.interfaces.worker import finished as finishing
from cueline.interfaces.worker.finished import Finished
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_worker

WORKER = a_worker()


def a_plain_one() -> Outcome:
    return Succeeded(a_task().claim(WORKER.id, NOW), None)


def a_step_s() -> Outcome:
    origin = Origin(RunId(a_run().id), "charge", Purpose.WORK)
    return Succeeded(a_task(origin=origin).claim(WORKER.id, NOW), None)


def finished(*outcomes: Outcome, slots: int = 4) -> Finished:
    """These, which wait to be settled by a worker with so many slots."""
    waiting = Finished(slots)
    for outcome in outcomes:
        waiting.add(outcome)
    return waiting


def test_tasks_are_settled_all_together_up_to_a_limit() -> None:
    outcomes = [a_plain_one() for _ in range(finishing.MOST_SETTLED + 1)]
    waiting = finished(*outcomes)
    with waiting.some() as some:
        assert some == outcomes[:-1]
    with waiting.some() as some:
        assert some == outcomes[-1:]
    with waiting.some() as some:
        assert some == []


def test_what_ends_while_tasks_are_settled_waits_for_more() -> None:
    waiting = finished(a_plain_one())
    with waiting.some() as first:
        waiting.add(a_plain_one())
        waiting.add(a_plain_one())
        with waiting.some() as second:
            assert second == []
    with waiting.some() as third:
        assert len(first) == 1
        assert len(third) == 2


def test_of_steps_as_many_as_half_of_the_slots_are_settled_while_the_others_are() -> None:
    outcomes = [a_step_s() for _ in range(4)]
    waiting = finished(*outcomes)
    with waiting.some() as first, waiting.some() as second:
        assert first == outcomes[:2]
        assert second == outcomes[2:]


def test_a_worker_with_one_slot_settles_its_step() -> None:
    with finished(a_step_s(), slots=1).some() as some:
        assert len(some) == 1


def test_neither_steps_nor_other_tasks_wait_for_the_others_settlement() -> None:
    steps, others = [a_step_s() for _ in range(4)], [a_plain_one() for _ in range(2)]
    waiting = finished(others[0], steps[0])
    with waiting.some() as first:
        for outcome in (others[1], *steps[1:]):
            waiting.add(outcome)
        with waiting.some() as second:
            assert first == [steps[0], others[0]]
            assert second == steps[1:3]
    with waiting.some() as third:
        assert third == [steps[3], others[1]]


def test_other_tasks_are_settled_again_after_a_settlement_that_failed() -> None:
    waiting = finished(a_plain_one())
    with suppress(ValueError), waiting.some():
        raise ValueError
    waiting.add(a_plain_one())
    with waiting.some() as some:
        assert len(some) == 1


async def test_whoever_waits_is_woken_by_the_next() -> None:
    waiting = finished()
    woken = asyncio.create_task(waiting.wait())
    await asyncio.sleep(0)
    assert not woken.done()
    waiting.add(a_plain_one())
    await woken
