"""Settling: the one way to finish."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.context import Snooze
from cueline.application.outcomes import Cancelled, Failed, Released, Snoozed, Succeeded
from cueline.application.ports.journal import LogEntry
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.errors import IllegalTransition, PermanentError
from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.run import RunState
from tests.doubles import NOW
from tests.factories import a_step, a_workflow
from tests.harness import Harness, without_lineage

BROKEN = Failure("ValueError", "broken")


async def attempts(h: Harness, task: Task) -> list[tuple[int, AttemptOutcome]]:
    """The numbers and outcomes of the attempts at a task."""
    return [(item.number, item.outcome) for item in await h.app.queries.attempts(task.id)]


async def test_a_success_ends_the_task_with_its_output(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    h.clock.advance(2)
    settled = await h.settle(Succeeded(claimed, {"sent": True}))
    found = await h.task(claimed.id)
    assert settled.accepted == (found,)
    assert found.state is TaskState.SUCCEEDED
    assert found.output == {"sent": True}
    assert found.ended_at == NOW + timedelta(seconds=2)
    assert await attempts(h, found) == [(1, AttemptOutcome.SUCCEEDED)]


async def test_an_error_is_retried_after_the_backoff_and_then_fails(h: Harness) -> None:
    def fail(task: Task) -> Json:
        raise ValueError(f"attempt {task.attempt}")

    h.on("send", fail)
    task = await h.submit("send")
    await h.work()
    waiting = await h.task(task.id)
    assert waiting.state is TaskState.QUEUED
    assert waiting.run_at == NOW + timedelta(seconds=10)
    assert (waiting.attempt, waiting.failures) == (1, 1)
    assert await h.work_for(9) == []
    assert len(await h.work_for(1)) == 1
    assert (await h.task(task.id)).run_at == NOW + timedelta(seconds=30)
    await h.work_for(20)
    failed = await h.task(task.id)
    assert failed.state is TaskState.FAILED
    assert failed.attempt == failed.failures == 3
    assert failed.failure is not None
    assert failed.failure.summary == "ValueError: attempt 3"
    assert await attempts(h, task) == [(n, AttemptOutcome.FAILED) for n in (1, 2, 3)]
    recorded = await h.app.queries.attempts(task.id)
    assert [item.failure.message for item in recorded if item.failure] == [
        "attempt 1",
        "attempt 2",
        "attempt 3",
    ]


async def test_a_success_after_failures_clears_the_error(h: Harness) -> None:
    submitted = await h.submit("send")
    await h.settle(Failed(await h.claim_one(), BROKEN))
    h.clock.advance(10)
    await h.settle(Succeeded(await h.claim_one(), 1))
    task = await h.task(submitted.id)
    assert (task.state, task.failure) == (TaskState.SUCCEEDED, None)
    assert await attempts(h, task) == [(1, AttemptOutcome.FAILED), (2, AttemptOutcome.SUCCEEDED)]


async def test_chance_takes_its_share_of_the_delay() -> None:
    h = Harness(chance=0.5)
    await h.submit(retry=RetryPolicy(attempts=2, first=timedelta(seconds=10), jitter=1.0))
    settled = await h.settle(Failed(await h.claim_one(), BROKEN))
    assert settled.accepted[0].run_at == NOW + timedelta(seconds=5)


async def test_a_permanent_error_fails_at_once(h: Harness) -> None:
    def refuse(task: Task) -> Json:
        raise PermanentError("never")

    h.on("send", refuse)
    task = await h.submit("send")
    await h.work()
    assert (await h.task(task.id)).state is TaskState.FAILED
    assert (await h.task(task.id)).attempt == 1


async def test_an_error_that_the_policy_calls_permanent_fails_at_once(h: Harness) -> None:
    def look_up(task: Task) -> Json:
        raise KeyError(task.spec.name)

    h.on("send", look_up)
    task = await h.submit(
        "send", retry=RetryPolicy(attempts=9, permanent=frozenset({"LookupError"}))
    )
    await h.work()
    assert (await h.task(task.id)).state is TaskState.FAILED


async def test_a_snoozed_task_comes_back_and_is_not_charged(h: Harness) -> None:
    def snooze(task: Task) -> Json:
        if task.attempt < 5:
            raise Snooze("1m")
        return "awake"

    h.on("reserve", snooze)
    task = await h.submit("reserve")
    await h.work()
    asleep = await h.task(task.id)
    assert asleep.run_at == NOW + timedelta(minutes=1)
    assert (asleep.attempt, asleep.failures, asleep.worker_id) == (1, 0, None)
    await h.work_for(240, step=10)
    awake = await h.task(task.id)
    assert (awake.state, awake.output, awake.attempt) == (TaskState.SUCCEEDED, "awake", 5)
    assert [outcome for _, outcome in await attempts(h, task)] == [
        *[AttemptOutcome.SNOOZED] * 4,
        AttemptOutcome.SUCCEEDED,
    ]


async def test_a_released_task_goes_back_at_once_and_is_not_charged(h: Harness) -> None:
    task = await h.submit("reserve")
    await h.settle(Released(await h.claim_one()))
    again = await h.claim_one()
    assert (again.id, again.attempt, again.failures) == (task.id, 2, 0)
    assert await attempts(h, task) == [(1, AttemptOutcome.RELEASED), (2, AttemptOutcome.RUNNING)]


async def test_attempts_rise_with_every_claim_whatever_their_end(h: Harness) -> None:
    task = await h.submit("send")
    await h.settle(Released(await h.claim_one()))
    await h.settle(Snoozed(await h.claim_one(), timedelta(0)))
    await h.settle(Failed(await h.claim_one(), BROKEN))
    h.clock.advance(10)
    last = await h.claim_one()
    assert (last.attempt, last.failures) == (4, 1)
    assert [number for number, _ in await attempts(h, task)] == [1, 2, 3, 4]


async def test_a_stale_outcome_is_refused_and_leaves_no_trace(h: Harness) -> None:
    task = await h.submit("send")
    zombie = await h.claim_one()
    await h.settle(Released(zombie))
    successor = await h.claim_one()
    async with h.app.queries.watch([task.id]) as events:
        for stale in (
            Succeeded(zombie, "late"),
            Failed(zombie, BROKEN),
            Snoozed(zombie, timedelta(1)),
            Released(zombie),
            Cancelled(zombie),
        ):
            settled = await h.settle(stale)
            assert settled.accepted == ()
            assert settled.refused == {task.id}
        assert await h.task(task.id) == successor
        await h.settle(Succeeded(successor, "good"))
        event = await anext(events)
    assert event.data["state"] == "succeeded"
    assert await attempts(h, task) == [(1, AttemptOutcome.RELEASED), (2, AttemptOutcome.SUCCEEDED)]


async def test_an_outcome_counts_once(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    assert len((await h.settle(Succeeded(claimed, 1))).accepted) == 1
    assert (await h.settle(Succeeded(claimed, 2))).refused == {claimed.id}
    assert (await h.task(claimed.id)).output == 1


async def test_many_outcomes_are_settled_together_each_by_its_own_merit(h: Harness) -> None:
    await h.hire(slots=50)
    for _ in range(4):
        await h.submit("send")
    good, bad, stale, slow = await h.claim()
    await h.app.tasks.cancel([stale.id])
    settled = await h.settle(
        Succeeded(good, 1), Failed(bad, BROKEN), Succeeded(stale, 1), Released(slow)
    )
    assert settled.refused == {stale.id}
    assert [task.state for task in settled.accepted] == [
        TaskState.SUCCEEDED,
        TaskState.QUEUED,
        TaskState.QUEUED,
    ]


async def test_only_a_running_task_can_be_settled(h: Harness) -> None:
    task = await h.submit()
    with pytest.raises(IllegalTransition, match="queued: it cannot succeed"):
        await h.settle(Succeeded(task, 1))


async def test_log_lines_are_written_with_the_outcome(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    line = LogEntry(claimed.id, 1, NOW, "info", "sent", {"to": "you"})
    await h.app.settle([Succeeded(claimed, 1)], [line])
    assert [entry for _, entry in await h.app.queries.logs(claimed.id, 0, 9)] == [line]


async def test_the_outcome_and_the_advance_of_its_run_are_one_transaction(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    claimed = await h.claim_one()
    h.store.failing_commit = RuntimeError("disk full")
    with pytest.raises(RuntimeError, match="disk full"):
        await h.settle(Succeeded(claimed, 1))
    assert await h.task(claimed.id) == claimed
    assert await h.step_states(run.id) == {"one": "running", "two": "waiting"}
    assert await h.claim() == []
    assert await h.history(run.id) == ["run.started", "step.started one"]
    await h.settle(Succeeded(claimed, 1))
    assert await h.step_states(run.id) == {"one": "succeeded", "two": "running"}
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_a_failed_commit_announces_nothing(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    async with h.app.queries.watch([claimed.id]) as events:
        h.store.failing_commit = RuntimeError("disk full")
        with pytest.raises(RuntimeError, match="disk full"):
            await h.settle(Succeeded(claimed, 1))
        await h.settle(Failed(claimed, BROKEN))
        event = await anext(events)
    assert event.data["error"] == "ValueError: broken"


async def test_a_failure_is_stored_with_its_traceback(h: Harness) -> None:
    def fail(task: Task) -> Json:
        raise ValueError("broken")

    h.on("reserve", fail)
    task = await h.submit("reserve")
    await h.work()
    failure = (await h.task(task.id)).failure
    assert failure is not None
    assert "in fail" in failure.traceback
    assert failure == without_lineage(failure)
