"""A task's transitions, cell by cell, and what each of them remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.errors import IllegalTransition
from cueline.domain.events import Subject, task_changed
from cueline.domain.task import (
    FIRST_RECOVERY,
    LONGEST_RECOVERY,
    TRANSITIONS,
    Priority,
    Task,
    TaskEvent,
    TaskState,
    recovery_delay,
)
from tests.unit.domain.factories import (
    LATER,
    NOW,
    SECOND,
    TASK_ID,
    WORKER_ID,
    a_failure,
    a_task,
    modest,
)

MOVES: dict[TaskEvent, Callable[[Task], Task]] = {
    TaskEvent.CLAIM: lambda task: task.claim(WORKER_ID, LATER),
    TaskEvent.SUCCEED: lambda task: task.succeed("done", LATER),
    TaskEvent.RETRY: lambda task: task.fail(a_failure(), LATER, 0.0),
    TaskEvent.FAIL: lambda task: task.fail(a_failure(permanent=True), LATER, 0.0),
    TaskEvent.SNOOZE: lambda task: task.snooze(SECOND, LATER),
    TaskEvent.RELEASE: lambda task: task.release(),
    TaskEvent.CANCEL: lambda task: task.cancel(LATER),
    TaskEvent.PROMOTE: lambda task: task.promote(LATER),
    TaskEvent.REQUEUE: lambda task: task.requeue(LATER),
}
CELLS = [(state, event) for state in TaskState for event in TaskEvent]
ALLOWED = [(state, event) for state, event in CELLS if event in TRANSITIONS[state]]
REFUSED = [cell for cell in CELLS if cell not in ALLOWED]


def test_the_table_has_a_row_for_every_state() -> None:
    assert set(TRANSITIONS) == set(TaskState)


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_an_allowed_event_leads_where_the_table_says(state: TaskState, event: TaskEvent) -> None:
    assert MOVES[event](a_task(state)).state is TRANSITIONS[state][event]


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_the_version_rises_by_one_with_every_transition(state: TaskState, event: TaskEvent) -> None:
    before = a_task(state)
    assert MOVES[event](before).version == before.version + 1


@pytest.mark.parametrize(("state", "event"), REFUSED)
def test_an_event_that_is_not_in_the_table_is_refused_by_name(
    state: TaskState, event: TaskEvent
) -> None:
    with pytest.raises(IllegalTransition) as refused:
        MOVES[event](a_task(state))
    error = refused.value
    assert (error.kind, error.identifier) == ("task", TASK_ID)
    assert (error.state, error.event) == (state, event)
    assert f"is {state}: it cannot {event}" in str(error)


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_only_a_queued_task_is_to_be_dispatched_and_only_a_claimed_one_has_a_worker(
    state: TaskState, event: TaskEvent
) -> None:
    after = MOVES[event](a_task(state))
    assert (after.dispatch_at is not None) == (after.state is TaskState.QUEUED)
    if after.state is TaskState.QUEUED:
        assert after.worker_id is None
        assert after.started_at is None
    if after.state is TaskState.RUNNING:
        assert after.worker_id == WORKER_ID


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_a_task_has_an_end_time_exactly_when_it_has_ended(
    state: TaskState, event: TaskEvent
) -> None:
    after = MOVES[event](a_task(state))
    assert (after.ended_at is not None) == after.state.ended


def test_what_has_ended_is_succeeded_failed_or_cancelled() -> None:
    ended = {state for state in TaskState if state.ended}
    assert ended == {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}


def test_a_task_is_ready_from_its_run_time_on() -> None:
    task = Task.submitted(a_task().spec, LATER)
    assert task.is_scheduled(NOW)
    assert not task.is_ready(NOW)
    assert task.is_ready(LATER)
    assert not task.is_scheduled(LATER)


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.QUEUED])
def test_a_task_that_is_not_queued_is_neither_ready_nor_scheduled(state: TaskState) -> None:
    task = a_task(state)
    assert not task.is_ready(LATER)
    assert not task.is_scheduled(NOW - SECOND)


def test_each_claim_is_an_attempt_more() -> None:
    task = a_task(attempts=10)
    for attempt in range(1, 4):
        task = task.claim(WORKER_ID, LATER)
        assert task.attempt == attempt
        assert task.started_at == LATER
        task = task.fail(a_failure(), LATER, 0.0)


def test_a_result_wipes_the_failure_before_it() -> None:
    retried = a_task(TaskState.RUNNING).fail(a_failure(), NOW, 0.0)
    assert retried.failure is not None
    done = retried.claim(WORKER_ID, LATER).succeed([1], LATER)
    assert done.failure is None
    assert done.output == [1]
    assert done.ended_at == LATER


def test_a_failure_waits_as_long_as_the_policy_says() -> None:
    after = a_task(TaskState.RUNNING).fail(a_failure(), NOW, 0.0)
    assert after.state is TaskState.QUEUED
    assert after.run_at == after.dispatch_at == NOW + SECOND
    assert after.failures == 1
    assert after.failure == a_failure()


def test_a_task_fails_for_good_with_its_last_attempt() -> None:
    task = a_task(attempts=3)
    for failures in (1, 2, 3):
        task = task.claim(WORKER_ID, NOW).fail(a_failure(), NOW, 0.0)
        assert task.failures == failures
    assert task.state is TaskState.FAILED
    assert task.attempt == 3
    assert task.worker_id == WORKER_ID


@pytest.mark.parametrize("event", [TaskEvent.SNOOZE, TaskEvent.RELEASE])
def test_an_attempt_that_is_given_back_counts_but_is_not_charged(event: TaskEvent) -> None:
    after = MOVES[event](a_task(TaskState.RUNNING))
    assert after.attempt == 1
    assert after.failures == 0


def test_a_snoozed_task_runs_again_after_the_delay_and_a_released_one_keeps_its_place() -> None:
    running = a_task(TaskState.RUNNING)
    assert running.snooze(timedelta(minutes=5), NOW).run_at == NOW + timedelta(minutes=5)
    assert running.release().run_at == running.run_at
    assert running.release().dispatch_at == running.run_at


def test_a_promoted_task_runs_now() -> None:
    promoted = Task.submitted(a_task().spec, LATER).promote(NOW)
    assert promoted.run_at == promoted.dispatch_at == NOW


def test_promoting_a_task_that_is_due_keeps_its_place_in_line() -> None:
    assert a_task().promote(LATER).run_at == NOW


def test_a_requeued_task_has_its_whole_policy_before_it_and_keeps_its_count_of_attempts() -> None:
    failed = a_task(TaskState.FAILED, attempts=1)
    revived = failed.requeue(LATER)
    assert (revived.failures, revived.attempt) == (0, 1)
    assert revived.failure is None
    assert revived.run_at == LATER


def test_cancelling_keeps_the_worker_that_was_at_it_for_the_record() -> None:
    cancelled = a_task(TaskState.RUNNING).cancel(LATER)
    assert cancelled.worker_id == WORKER_ID
    assert cancelled.started_at == NOW


def test_handing_a_task_to_the_broker_moves_no_version() -> None:
    task = a_task()
    handed = task.handed_to_broker(NOW)
    assert handed.version == task.version
    assert handed.dispatches == 1
    assert handed.dispatch_at == NOW + FIRST_RECOVERY


def test_the_recovery_of_lost_messages_slows_down_up_to_a_limit() -> None:
    delays = [recovery_delay(dispatches) for dispatches in range(8)]
    assert [delay.total_seconds() for delay in delays] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert recovery_delay(10**9) == LONGEST_RECOVERY


@pytest.mark.parametrize("event", [TaskEvent.RETRY, TaskEvent.RELEASE, TaskEvent.SNOOZE])
def test_a_task_back_in_the_queue_begins_its_recovery_delays_anew(event: TaskEvent) -> None:
    handed = a_task().handed_to_broker(NOW).handed_to_broker(NOW)
    assert MOVES[event](handed.claim(WORKER_ID, NOW)).dispatches == 0


def test_priorities_are_ordered_and_have_names() -> None:
    assert [priority.label for priority in sorted(Priority)] == [
        "critical",
        "high",
        "normal",
        "low",
    ]


def test_a_repeated_request_is_one_for_the_same_task_with_the_same_input() -> None:
    spec = a_task().spec
    assert spec.asks_the_same_as(replace(spec, queue="other", tags=("x",)))
    assert not spec.asks_the_same_as(replace(spec, name="refund"))
    assert not spec.asks_the_same_as(replace(spec, input={"order": 8}))
    assert not spec.asks_the_same_as(replace(spec, input={"order": 7.0}))


def test_the_event_of_a_change_tells_state_attempt_and_error() -> None:
    failed = a_task(TaskState.FAILED)
    event = task_changed(failed, LATER)
    assert (event.subject, event.id, event.sequence) == (Subject.TASK, TASK_ID, failed.version)
    assert (event.type, event.at) == ("status", LATER)
    assert event.data == {"state": "failed", "attempt": 1, "error": "ValueError: no such order"}
    assert "error" not in task_changed(a_task(), NOW).data


@modest
@given(st.lists(st.sampled_from(TaskEvent), max_size=30), st.integers(1, 4))
def test_whatever_happens_versions_rise_and_failures_stay_within_the_policy(
    events: list[TaskEvent], attempts: int
) -> None:
    task = a_task(attempts=attempts)
    for event in events:
        before = task
        try:
            task = MOVES[event](task)
        except IllegalTransition:
            continue
        assert task.version == before.version + 1
        assert task.attempt - before.attempt == (event is TaskEvent.CLAIM)
        assert 0 <= task.failures <= attempts
        assert task.state is not TaskState.QUEUED or task.failures < attempts
