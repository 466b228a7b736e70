"""The records of attempts."""

from __future__ import annotations

import pytest

from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.task import TaskState
from tests.unit.domain.factories import LATER, NOW, TASK_ID, WORKER_ID, a_failure, a_task


def test_a_running_task_holds_the_attempt_that_runs() -> None:
    attempt = Attempt.current(a_task(TaskState.RUNNING))
    assert attempt == Attempt(TASK_ID, 1, WORKER_ID, NOW, None, AttemptOutcome.RUNNING)


def test_a_task_that_succeeded_holds_the_attempt_that_did() -> None:
    attempt = Attempt.current(a_task(TaskState.SUCCEEDED))
    assert attempt == Attempt(TASK_ID, 1, WORKER_ID, NOW, NOW, AttemptOutcome.SUCCEEDED)


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED])
def test_any_other_task_holds_no_attempt_since_the_record_has_it(state: TaskState) -> None:
    assert Attempt.current(a_task(state)) is None


@pytest.mark.parametrize(
    "outcome",
    [
        AttemptOutcome.FAILED,
        AttemptOutcome.SNOOZED,
        AttemptOutcome.RELEASED,
        AttemptOutcome.CANCELLED,
    ],
)
def test_an_attempt_without_success_is_recorded_from_the_task_before_it(
    outcome: AttemptOutcome,
) -> None:
    failure = a_failure() if outcome is AttemptOutcome.FAILED else None
    record = Attempt.closed(a_task(TaskState.RUNNING), outcome, failure, LATER)
    assert record == Attempt(TASK_ID, 1, WORKER_ID, NOW, LATER, outcome, failure)


def test_a_task_that_nobody_claimed_has_no_attempt_to_record() -> None:
    assert Attempt.closed(a_task(), AttemptOutcome.CANCELLED, None, LATER) is None


def test_no_attempt_is_lost_or_counted_twice_over_a_task_s_life() -> None:
    task = a_task(attempts=5)
    records: list[Attempt | None] = []
    for _ in range(3):
        task = task.claim(WORKER_ID, NOW)
        records.append(Attempt.closed(task, AttemptOutcome.FAILED, a_failure(), LATER))
        task = task.fail(a_failure(), LATER, 0.0)
    records.append(Attempt.current(task.claim(WORKER_ID, LATER)))
    assert [record.number for record in records if record is not None] == [1, 2, 3, 4]
