"""What an operator does to runs."""

from __future__ import annotations

import pytest

from cueline.application.outcomes import Failed, Succeeded
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.errors import IllegalTransition, NotFound
from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.run import RunState
from tests.factories import a_run, a_step, a_workflow
from tests.harness import Harness
from tests.unit.application.test_compensation import CHAIN, PAIR, executed

BROKEN = Failure("ValueError", "broken")

CHAIN_OF_TWO = a_workflow(
    steps=[a_step("one", task="reserve"), a_step("two", task="charge", after="one")]
)


def fail(task: Task) -> Json:
    """A handler that never succeeds."""
    raise ValueError(task.spec.name)


# --- cancel ---------------------------------------------------------------------------------------


async def test_cancelling_a_run_withdraws_what_waits(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    cancelled = await h.app.runs.cancel(run.id)
    assert cancelled.state is RunState.CANCELLED
    assert await h.step_states(run.id) == {"one": "cancelled", "two": "waiting"}
    assert await h.work_for(60) == []


async def test_cancelling_a_run_takes_running_tasks_from_their_workers(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    claimed = await h.claim_one()
    assert (await h.app.runs.cancel(run.id)).state is RunState.CANCELLED
    beat = await h.app.workers.heartbeat(await h.worker(), {claimed.id: claimed.version})
    assert beat.revoked == {claimed.id}
    assert (await h.settle(Succeeded(claimed, 1))).refused == {claimed.id}
    assert await h.step_states(run.id) == {"one": "cancelled", "two": "waiting"}
    [attempt] = await h.app.queries.attempts(claimed.id)
    assert attempt.outcome is AttemptOutcome.CANCELLED


async def test_cancelling_a_run_in_the_middle_undoes_what_was_done(h: Harness) -> None:
    run = await h.start(CHAIN, 7)
    await h.work(at_most=4)
    running = await h.claim_one()
    assert running.spec.name == "ship"
    cancelled = await h.app.runs.cancel(run.id)
    assert cancelled.state is RunState.COMPENSATING
    await h.work()
    assert executed(h)[4:] == ["refund", "unpack", "unreserve"]
    ended = await h.run(run.id)
    assert (ended.state, ended.failure, ended.cancelled) == (RunState.CANCELLED, None, True)


async def test_a_paused_run_can_be_cancelled(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    await h.app.runs.pause(run.id)
    assert (await h.app.runs.cancel(run.id)).state is RunState.CANCELLED


async def test_a_cancelled_run_whose_undo_fails_ends_cancelled_once_it_is_retried(
    h: Harness,
) -> None:
    h.on("unpack", fail)
    run = await h.start(CHAIN, 7)
    await h.work(at_most=2)
    await h.app.runs.cancel(run.id)
    await h.work()
    assert (await h.run(run.id)).state is RunState.COMPENSATION_FAILED
    del h.executor.handlers["unpack"]
    await h.app.runs.retry(run.id)
    await h.work()
    assert (await h.run(run.id)).state is RunState.CANCELLED


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
async def test_a_run_that_has_ended_cannot_be_cancelled(h: Harness, end: str) -> None:
    if end == "failed":
        h.on("reserve", fail)
    run = await h.start(CHAIN_OF_TWO)
    if end == "cancelled":
        await h.app.runs.cancel(run.id)
    await h.work()
    before = await h.run(run.id)
    assert before.state.value == end
    with pytest.raises(IllegalTransition, match=f"is {end}: it cannot cancel"):
        await h.app.runs.cancel(run.id)
    assert await h.run(run.id) == before


async def test_a_run_that_is_compensating_cannot_be_cancelled(h: Harness) -> None:
    run = await h.start(PAIR, 7)
    first, _ = await h.claim()
    await h.settle(Failed(first, BROKEN))
    with pytest.raises(IllegalTransition, match="compensating: it cannot cancel"):
        await h.app.runs.cancel(run.id)


# --- pause and resume -----------------------------------------------------------------------------


async def test_a_paused_run_starts_no_further_step(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    claimed = await h.claim_one()
    assert (await h.app.runs.pause(run.id)).state is RunState.PAUSED
    assert (await h.settle(Succeeded(claimed, 1))).refused == frozenset()
    assert await h.step_states(run.id) == {"one": "succeeded", "two": "waiting"}
    assert await h.work_for(60) == []
    assert (await h.app.runs.resume(run.id)).state is RunState.RUNNING
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_a_run_whose_last_step_ends_during_a_pause_ends_when_resumed(h: Harness) -> None:
    run = await h.start(a_workflow())
    claimed = await h.claim_one()
    await h.app.runs.pause(run.id)
    await h.settle(Succeeded(claimed, 1))
    assert (await h.run(run.id)).state is RunState.PAUSED
    assert (await h.app.runs.resume(run.id)).state is RunState.SUCCEEDED


async def test_a_failure_during_a_pause_is_dealt_with_when_resumed(h: Harness) -> None:
    run = await h.start(PAIR, 7)
    claimed = await h.claim_steps()
    await h.app.runs.pause(run.id)
    await h.settle(Failed(claimed["reserve"], BROKEN), Succeeded(claimed["charge"], 1))
    assert (await h.run(run.id)).state is RunState.PAUSED
    await h.app.runs.resume(run.id)
    await h.work()
    assert executed(h) == ["refund"]
    assert (await h.run(run.id)).state is RunState.COMPENSATED


async def test_only_a_running_run_is_paused_and_only_a_paused_one_resumed(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    with pytest.raises(IllegalTransition, match="running: it cannot resume"):
        await h.app.runs.resume(run.id)
    await h.app.runs.pause(run.id)
    with pytest.raises(IllegalTransition, match="paused: it cannot pause"):
        await h.app.runs.pause(run.id)


# --- retry ----------------------------------------------------------------------------------------


async def test_a_failed_run_tries_again_what_failed_and_keeps_the_rest(h: Harness) -> None:
    h.on("charge", fail)
    run = await h.start(CHAIN_OF_TWO)
    await h.work()
    assert (await h.run(run.id)).state is RunState.FAILED
    del h.executor.handlers["charge"]
    retried = await h.app.runs.retry(run.id)
    assert (retried.state, retried.failure, retried.ended_at) == (RunState.RUNNING, None, None)
    await h.work()
    ended = await h.run(run.id)
    assert ended.state is RunState.SUCCEEDED
    assert executed(h) == ["reserve", "charge", "charge"]
    assert ended.steps["two"].starts == 2
    task = (await h.app.queries.run(run.id)).tasks["two"]
    assert [item.outcome for item in await h.app.queries.attempts(task.id)] == [
        AttemptOutcome.FAILED,
        AttemptOutcome.SUCCEEDED,
    ]


async def test_a_run_may_fail_and_be_retried_many_times(h: Harness) -> None:
    h.on("charge", fail)
    run = await h.start(CHAIN_OF_TWO)
    for _ in range(3):
        await h.work()
        assert (await h.run(run.id)).state is RunState.FAILED
        await h.app.runs.retry(run.id)
    del h.executor.handlers["charge"]
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_siblings_that_were_withdrawn_start_again_too(h: Harness) -> None:
    steps = [
        a_step("bad", task="charge"),
        a_step("waits", task="pack"),
        a_step("end", task="ship", after="bad waits"),
    ]
    run = await h.start(a_workflow(steps=steps))
    [first] = await h.claim(limit=1)
    await h.settle(Failed(first, BROKEN))
    states = await h.step_states(run.id)
    assert sorted(states.values()) == ["cancelled", "failed", "waiting"]
    await h.app.runs.retry(run.id)
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED
    assert sorted(executed(h)) == ["charge", "pack", "ship"]


async def test_siblings_that_never_came_to_be_start_with_the_retry(h: Harness) -> None:
    steps = [a_step("fine", task="pack"), a_step("wrong", task="strict")]
    run = await h.start(a_workflow(steps=steps))
    assert run.state is RunState.FAILED
    again = await h.app.runs.retry(run.id)
    assert again.state is RunState.FAILED
    assert await h.work_for(60) == []
    assert (await h.app.queries.run(run.id)).tasks == {}


async def test_a_run_that_was_compensated_cannot_be_retried(h: Harness) -> None:
    h.on("ship", fail)
    run = await h.start(CHAIN, 7)
    await h.work()
    with pytest.raises(IllegalTransition, match="compensated: it cannot retry"):
        await h.app.runs.retry(run.id)


async def test_a_step_whose_task_was_cancelled_is_retried_with_its_run(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    claimed = await h.claim_one()
    await h.app.tasks.cancel([claimed.id])
    assert (await h.run(run.id)).state is RunState.FAILED
    await h.app.runs.retry(run.id)
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED
    assert (await h.task(claimed.id)).attempt == 2


# --- all ------------------------------------------------------------------------------------------


async def test_an_unknown_run_cannot_be_steered(h: Harness) -> None:
    unknown = a_run().id
    runs = h.app.runs
    for steer in (runs.cancel, runs.pause, runs.resume, runs.retry):
        with pytest.raises(NotFound, match=unknown):
            await steer(unknown)


async def test_a_request_that_could_not_be_committed_changes_nothing(h: Harness) -> None:
    run = await h.start(CHAIN_OF_TWO)
    claimed = await h.claim_one()
    h.store.failing_commit = RuntimeError("disk full")
    with pytest.raises(RuntimeError, match="disk full"):
        await h.app.runs.cancel(run.id)
    assert (await h.run(run.id)).state is RunState.RUNNING
    assert (await h.task(claimed.id)).state is TaskState.RUNNING
