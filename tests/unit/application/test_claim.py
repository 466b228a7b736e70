"""Claiming: what a hint leads to, and what it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.ports.broker import Message
from cueline.domain.errors import WorkerEvicted
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task, TaskState
from cueline.domain.worker import WorkerState
from tests.doubles import NOW
from tests.factories import a_task_id, a_worker
from tests.harness import Harness


async def hint(h: Harness, *tasks: Task, queue: str = "default") -> None:
    """Put messages about tasks into the broker, whatever the store thinks of it."""
    await h.broker.publish([Message(task.id, queue, task.spec.priority) for task in tasks])


async def receive(h: Harness, *names: str) -> list[Task]:
    """Claim what the broker has, without a dispatch before it."""
    return await h.app.claim(await h.worker(), names or h.executor.names, 100, 0)


async def test_a_claimed_task_runs_for_its_worker(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    h.clock.advance(3)
    [claimed] = await receive(h)
    worker = await h.worker()
    assert claimed.id == task.id
    assert claimed.state is TaskState.RUNNING
    assert (claimed.worker_id, claimed.attempt) == (worker.id, 1)
    assert claimed.started_at == NOW + timedelta(seconds=3)
    assert await h.task(task.id) == claimed


async def test_tasks_are_claimed_in_one_batch_the_urgent_first(h: Harness) -> None:
    await h.hire()
    tasks = [await h.submit(priority=priority) for priority in (2, 0, 1)]
    assert [task.id for task in await receive(h)] == [tasks[n].id for n in (1, 2, 0)]


async def test_no_more_is_claimed_than_asked_for(h: Harness) -> None:
    await h.hire()
    for _ in range(3):
        await h.submit()
    assert len(await h.app.claim(await h.worker(), h.executor.names, 2, 0)) == 2
    assert await h.in_broker() == 1


async def test_nothing_to_claim_is_nothing_claimed(h: Harness) -> None:
    assert await receive(h) == []


async def test_a_message_is_acknowledged_right_after_the_claim(h: Harness) -> None:
    await h.hire()
    await h.submit()
    await receive(h)
    assert await h.in_broker() == 0


async def test_doubled_hints_lead_to_one_claim(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    await hint(h, task, task)
    assert len(await receive(h)) == 1
    await hint(h, task)
    assert await receive(h) == []
    assert await h.in_broker() == 0
    assert (await h.task(task.id)).attempt == 1


async def test_a_hint_to_another_worker_does_not_take_a_running_task(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    [claimed] = await receive(h)
    rival = await h.hire(spare=True)
    await hint(h, task)
    assert await h.app.claim(rival, h.executor.names, 9, 0) == []
    assert await h.task(task.id) == claimed


@pytest.mark.parametrize("id", [a_task_id(), TaskId("no uuid"), TaskId("'; drop table tasks; --")])
async def test_a_forged_id_leads_to_nothing(h: Harness, id: TaskId) -> None:
    await h.hire()
    await h.broker.publish([Message(id, "default", Priority.CRITICAL)])
    task = await h.submit()
    assert [claimed.id for claimed in await receive(h)] == [task.id]
    assert await h.in_broker() == 0


async def test_forged_ids_are_counted_and_warned_of_once_for_the_batch(
    h: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await h.hire()
    forged = [Message(TaskId(h.ids.new()), "default", Priority.LOW) for _ in range(50)]
    await h.broker.publish(forged)
    assert await receive(h) == []
    assert h.measured('cueline_hints_refused_total{reason="unknown"}') == 50
    assert [record.message for record in caplog.records] == [
        "messages refused that name no task: 50"
    ]


async def test_a_doubled_hint_is_nothing_to_speak_of(
    h: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await h.hire()
    task = await h.submit()
    await receive(h)
    await hint(h, task)
    assert await receive(h) == []
    assert h.measured('cueline_hints_refused_total{reason="unknown"}') == 0
    assert not caplog.records


async def test_a_forged_hint_brings_no_worker_a_task_of_a_queue_that_it_does_not_serve(
    h: Harness,
) -> None:
    task = await h.submit("print")
    await hint(h, task, task)
    assert await receive(h) == []
    assert await h.in_broker() == 0
    assert h.measured('cueline_hints_refused_total{reason="misdirected"}') == 1
    assert await h.task(task.id) == task
    served = await h.hire("printer")
    assert [claimed.id for claimed in await h.claim(served)] == [task.id]


async def test_a_hint_with_a_forged_queue_or_priority_still_leads_to_its_task_once(
    h: Harness,
) -> None:
    await h.hire("default", "printer")
    task = await h.submit("print", priority=Priority.LOW)
    forged = Message(task.id, "default", Priority.CRITICAL)
    await h.broker.publish([forged, forged])
    assert [claimed.id for claimed in await receive(h)] == [task.id]
    assert (await h.task(task.id)).spec == task.spec
    assert await h.in_broker() == await h.in_broker("printer") == 0


@pytest.mark.parametrize("state", [state for state in TaskState if state.ended])
async def test_a_hint_at_an_ended_task_leads_to_nothing(h: Harness, state: TaskState) -> None:
    task = await h.submit("reserve")
    if state is TaskState.CANCELLED:
        await h.app.tasks.cancel([task.id])
    elif state is TaskState.FAILED:
        h.on("reserve", _fail)
    await h.work()
    assert (await h.task(task.id)).state is state
    await hint(h, task)
    assert await receive(h) == []
    assert (await h.task(task.id)).state is state


async def test_a_hint_that_comes_too_early_leads_to_nothing(h: Harness) -> None:
    task = await h.submit(delay=timedelta(seconds=60))
    await hint(h, task)
    assert await receive(h) == []
    assert await h.in_broker() == 0
    h.clock.advance(60)
    assert [done.id for done in await h.work()] == [task.id]


async def test_nothing_is_claimed_from_a_queue_paused_meanwhile(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    await h.app.queues.pause("default")
    assert await receive(h) == []
    assert (await h.task(task.id)).state is TaskState.QUEUED
    await h.app.queues.resume("default")
    assert [done.id for done in await h.work_for(5)] == [task.id]


async def test_a_task_without_a_handler_here_is_left_to_others(h: Harness) -> None:
    await h.hire()
    task = await h.submit("reserve")
    assert await receive(h, "send") == []
    assert (await h.task(task.id)).attempt == 0
    assert [done.id for done in await h.work_for(5)] == [task.id]


async def test_an_evicted_worker_cannot_claim(h: Harness) -> None:
    worker = await h.hire()
    task = await h.submit()
    h.clock.advance(15)
    await h.app.maintain()
    with pytest.raises(WorkerEvicted):
        await h.app.claim(worker, h.executor.names, 9, 0)
    assert (await h.task(task.id)).state is TaskState.QUEUED
    await h.hire()
    assert [done.id for done in await h.work_for(5)] == [task.id]


@pytest.mark.parametrize("state", [WorkerState.STOPPED, None])
async def test_a_worker_that_stopped_or_was_never_registered_cannot_claim(
    h: Harness, state: WorkerState | None
) -> None:
    worker = await h.hire() if state else a_worker()
    await h.submit()
    await h.app.dispatch()
    if state:
        await h.app.workers.goodbye(worker)
    else:
        await hint(h, await h.submit())
    with pytest.raises(WorkerEvicted):
        await h.app.claim(worker, h.executor.names, 9, 0)


async def test_a_claim_stands_although_the_message_cannot_be_acknowledged(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    h.broker.refusing = frozenset({"acknowledge"})
    [claimed] = await receive(h)
    assert claimed.id == task.id
    await h.broker_comes_back()
    h.clock.advance(31)
    assert await receive(h) == []
    assert await h.in_broker() == 0


async def test_a_claim_that_could_not_be_committed_leaves_the_task_to_the_next(h: Harness) -> None:
    worker = await h.hire()
    task = await h.submit()
    h.store.failing_commit = RuntimeError("disk full")
    with pytest.raises(RuntimeError, match="disk full"):
        await h.app.claim(worker, h.executor.names, 9, 0)
    assert (await h.task(task.id)).state is TaskState.QUEUED
    assert [done.id for done in await h.work_for(5)] == [task.id]


async def test_two_workers_share_what_there_is(h: Harness) -> None:
    first = await h.hire(slots=10)
    second = await h.hire(slots=10)
    for _ in range(10):
        await h.submit()
    mine = await h.app.claim(first, h.executor.names, 5, 0)
    theirs = await h.app.claim(second, h.executor.names, 99, 0)
    assert (len(mine), len(theirs)) == (5, 5)
    assert not {task.id for task in mine} & {task.id for task in theirs}


async def test_watchers_hear_of_a_claim(h: Harness) -> None:
    await h.hire()
    task = await h.submit()
    async with h.app.queries.watch([task.id]) as events:
        await receive(h)
        event = await anext(events)
    assert event.data == {"state": "running", "attempt": 1}


def _fail(task: Task) -> None:
    raise ValueError(task.id)
