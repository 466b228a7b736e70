"""What an operator does to tasks and queues."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.outcomes import Succeeded
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.errors import Conflict, IllegalTransition, InvalidInput, NotFound
from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.json import Json
from cueline.domain.queue import Queue
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.run import RunState
from tests.doubles import NOW
from tests.factories import a_step, a_task_id, a_workflow
from tests.harness import Harness


def fail(task: Task) -> Json:
    """A handler that never succeeds."""
    raise ValueError(task.spec.name)


# --- cancel ---------------------------------------------------------------------------------------


async def test_a_queued_task_that_is_cancelled_never_runs(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    [cancelled] = await h.app.tasks.cancel([task.id])
    assert cancelled.state is TaskState.CANCELLED
    assert await h.work_for(60) == []
    assert h.executor.executed == []
    assert await h.app.queries.attempts(task.id) == []


async def test_a_scheduled_task_can_be_cancelled(h: Harness) -> None:
    task = await h.submit(delay=timedelta(days=1))
    await h.app.tasks.cancel([task.id])
    assert (await h.app.dispatch()).next_due is None


async def test_the_result_of_a_running_task_that_was_cancelled_is_refused(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    await h.app.tasks.cancel([claimed.id])
    beat = await h.app.workers.heartbeat(await h.worker(), {claimed.id: claimed.version})
    assert beat.revoked == {claimed.id}
    assert (await h.settle(Succeeded(claimed, 1))).refused == {claimed.id}
    assert (await h.task(claimed.id)).state is TaskState.CANCELLED
    [attempt] = await h.app.queries.attempts(claimed.id)
    assert (attempt.number, attempt.outcome) == (1, AttemptOutcome.CANCELLED)


async def test_cancelling_the_task_of_a_step_ends_its_run(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    await h.app.tasks.cancel([step_task_id(run.id, "one", Purpose.WORK)])
    assert await h.step_states(run.id) == {"one": "cancelled", "two": "waiting"}
    assert (await h.run(run.id)).state is RunState.FAILED


async def test_many_tasks_are_cancelled_together(h: Harness) -> None:
    tasks = [await h.submit() for _ in range(3)]
    cancelled = await h.app.tasks.cancel([task.id for task in reversed(tasks)])
    assert [task.id for task in cancelled] == [task.id for task in reversed(tasks)]


async def test_naming_a_task_twice_cancels_it_once(h: Harness) -> None:
    task = await h.submit()
    assert len(await h.app.tasks.cancel([task.id, task.id])) == 1


async def test_one_task_that_cannot_be_cancelled_spares_the_others(h: Harness) -> None:
    done, queued = await h.submit("reserve"), await h.submit(delay=timedelta(days=1))
    await h.work()
    with pytest.raises(IllegalTransition, match="is succeeded: it cannot cancel"):
        await h.app.tasks.cancel([queued.id, done.id])
    assert (await h.task(queued.id)).state is TaskState.QUEUED


async def test_an_unknown_task_cannot_be_steered(h: Harness) -> None:
    unknown = a_task_id()
    for steer in (h.app.tasks.cancel, h.app.tasks.retry, h.app.tasks.promote):
        with pytest.raises(NotFound, match=unknown):
            await steer([unknown])


# --- retry ----------------------------------------------------------------------------------------


async def test_a_failed_task_gets_a_new_life_with_all_its_attempts(h: Harness) -> None:
    h.on("send", fail)
    task = await h.submit("send")
    await h.work_for(60)
    assert (await h.task(task.id)).state is TaskState.FAILED
    [revived] = await h.app.tasks.retry([task.id])
    assert (revived.state, revived.failures, revived.failure) == (TaskState.QUEUED, 0, None)
    await h.work()
    again = await h.task(task.id)
    assert (again.state, again.attempt, again.failures) == (TaskState.QUEUED, 4, 1)
    del h.executor.handlers["send"]
    await h.work_for(60)
    assert (await h.task(task.id)).state is TaskState.SUCCEEDED
    assert len(await h.app.queries.attempts(task.id)) == 5


async def test_a_retried_task_is_published_at_once_if_there_is_room(h: Harness) -> None:
    h.on("reserve", fail)
    task = await h.submit("reserve")
    await h.work()
    await h.app.tasks.retry([task.id])
    assert await h.in_broker() == 1


async def test_a_cancelled_task_can_be_retried(h: Harness) -> None:
    task = await h.submit()
    await h.app.tasks.cancel([task.id])
    await h.app.tasks.retry([task.id])
    assert [done.id for done in await h.work()] == [task.id]


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_task_that_has_not_failed_cannot_be_retried(h: Harness, claimed: bool) -> None:
    task = await h.submit()
    if claimed:
        await h.claim_one()
    with pytest.raises(IllegalTransition, match="cannot requeue"):
        await h.app.tasks.retry([task.id])


async def test_the_task_of_a_step_is_retried_through_its_run_only(h: Harness) -> None:
    h.on("reserve", fail)
    run = await h.start(a_workflow(steps=[a_step("one", task="reserve")]))
    await h.work()
    with pytest.raises(Conflict, match="retry the run"):
        await h.app.tasks.retry([step_task_id(run.id, "one", Purpose.WORK)])


# --- promote --------------------------------------------------------------------------------------


async def test_a_promoted_task_runs_now(h: Harness) -> None:
    task = await h.submit(delay=timedelta(days=1))
    [promoted] = await h.app.tasks.promote([task.id])
    assert promoted.run_at == NOW
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_retry_that_waits_can_be_promoted_and_stays_charged(h: Harness) -> None:
    h.on("send", fail)
    task = await h.submit("send")
    await h.work()
    await h.app.tasks.promote([task.id])
    await h.work()
    assert (await h.task(task.id)).failures == 2


async def test_a_running_task_cannot_be_promoted(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    with pytest.raises(IllegalTransition, match="running: it cannot promote"):
        await h.app.tasks.promote([claimed.id])


# --- what steering shares -------------------------------------------------------------------------


async def test_watchers_hear_of_what_an_operator_does(h: Harness) -> None:
    task = await h.submit(delay=timedelta(days=1))
    async with h.app.queries.watch([task.id]) as events:
        await h.app.tasks.promote([task.id])
        await h.app.tasks.cancel([task.id])
        await h.app.tasks.retry([task.id])
        seen = [await anext(events) for _ in range(3)]
    assert [event.data["state"] for event in seen] == ["queued", "cancelled", "queued"]
    assert [event.sequence for event in seen] == [2, 3, 4]


async def test_steering_is_tried_again_when_the_task_moves_at_the_same_moment(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    genuine = h.app.tasks._read
    moves = 0

    async def read_then_move(ids: list[object]) -> list[Task]:
        nonlocal moves
        found = await genuine([task.id])
        if moves == 0:
            moves += 1
            await h.claim_one()
        return found

    h.app.tasks._read = read_then_move  # type: ignore[method-assign, assignment]
    [cancelled] = await h.app.tasks.cancel([task.id])
    assert (cancelled.state, cancelled.attempt) == (TaskState.CANCELLED, 1)


# --- queues ---------------------------------------------------------------------------------------


async def test_what_is_running_goes_on_while_its_queue_is_paused(h: Harness) -> None:
    await h.submit()
    claimed = await h.claim_one()
    assert await h.app.queues.pause("default") == Queue("default", paused=True)
    assert (await h.settle(Succeeded(claimed, 1))).refused == frozenset()


async def test_pausing_twice_is_pausing_once(h: Harness) -> None:
    await h.app.queues.pause("mail")
    await h.app.queues.pause("mail")
    assert await h.app.queues.resume("mail") == Queue("mail")
    assert await h.app.queues.resume("mail") == Queue("mail")


async def test_a_paused_queue_leaves_the_others_alone(h: Harness) -> None:
    await h.hire("default", "printer")
    await h.app.queues.pause("printer")
    await h.submit("print")
    open_one = await h.submit("send")
    assert [task.id for task in await h.work()] == [open_one.id]


async def test_a_queue_needs_a_proper_name(h: Harness) -> None:
    with pytest.raises(InvalidInput, match="not a name"):
        await h.app.queues.pause("no queue")
