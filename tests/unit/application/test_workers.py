"""Workers: leases, eviction, and what becomes of the tasks of a lost one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.outcomes import Released, Succeeded
from cueline.application.ports.journal import LogEntry
from cueline.application.tasks import Submission
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.errors import WorkerEvicted
from cueline.domain.identifiers import TaskId
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import TaskState
from cueline.domain.worker import LEASE, WorkerState
from cueline.domain.workflow.run import RunState
from tests.doubles import NOW
from tests.factories import a_step, a_worker, a_workflow
from tests.harness import Harness

LEASE_SECONDS = LEASE.total_seconds()


async def test_a_registered_worker_is_live_for_one_lease(h: Harness) -> None:
    worker = await h.hire("mail", "pdf", slots=3, name="host-7")
    assert worker.lease_until == NOW + LEASE
    [shown] = await h.app.queries.workers()
    assert shown == worker
    assert (shown.name, shown.queues, shown.slots) == ("host-7", ("mail", "pdf"), 3)


async def test_a_heartbeat_renews_the_lease(h: Harness) -> None:
    worker = await h.hire()
    for _ in range(10):
        h.clock.advance(LEASE_SECONDS - 1)
        worker = (await h.app.workers.heartbeat(worker, {})).worker
        assert (await h.app.maintain()).evicted == 0
    assert worker.lease_until == h.clock.now() + LEASE


async def test_a_heartbeat_tells_which_tasks_were_lost(h: Harness) -> None:
    await h.hire()
    for _ in range(3):
        await h.submit()
    kept, cancelled, settled = await h.claim()
    await h.app.tasks.cancel([cancelled.id])
    await h.settle(Released(settled))
    unknown = TaskId("019ca945-ffff-7000-8000-019ca945ffff")
    held = {task.id: task.version for task in (kept, cancelled, settled)} | {unknown: 2}
    beat = await h.app.workers.heartbeat(await h.worker(), held)
    assert beat.revoked == {cancelled.id, settled.id, unknown}


async def test_a_heartbeat_tells_which_tasks_a_worker_holds_unknowingly(h: Harness) -> None:
    for _ in range(2):
        await h.submit()
    known, stray = await h.claim()
    beat = await h.app.workers.heartbeat(await h.worker(), {known.id: known.version})
    assert (beat.revoked, beat.strays) == (frozenset(), (stray,))


async def test_a_lapsed_worker_that_nobody_evicted_may_go_on(h: Harness) -> None:
    worker = await h.hire()
    await h.submit()
    claimed = await h.claim_one()
    h.clock.advance(60)
    beat = await h.app.workers.heartbeat(worker, {claimed.id: claimed.version})
    assert beat.revoked == frozenset()
    assert (await h.app.maintain()).evicted == 0
    assert (await h.settle(Succeeded(claimed, 1))).refused == frozenset()


async def test_a_silent_worker_is_evicted_once(h: Harness) -> None:
    await h.hire()
    h.clock.advance(LEASE_SECONDS - 0.001)
    assert (await h.app.maintain()).evicted == 0
    h.clock.advance(0.001)
    assert (await h.app.maintain()).evicted == 1
    assert (await h.app.maintain()).evicted == 0
    [worker] = await h.app.queries.workers()
    assert worker.state is WorkerState.LOST


async def test_an_evicted_worker_learns_so_at_its_heartbeat(h: Harness) -> None:
    worker = await h.hire()
    h.clock.advance(LEASE_SECONDS)
    await h.app.maintain()
    with pytest.raises(WorkerEvicted):
        await h.app.workers.heartbeat(worker, {})
    [shown] = await h.app.queries.workers()
    assert shown.state is WorkerState.LOST


async def test_an_unknown_worker_is_told_to_register(h: Harness) -> None:
    with pytest.raises(WorkerEvicted):
        await h.app.workers.heartbeat(a_worker(), {})


async def test_a_lost_worker_s_task_goes_to_another_and_its_late_result_is_refused(
    h: Harness,
) -> None:
    await h.hire()
    task = await h.submit("send")
    zombie = await h.claim_one()
    h.clock.advance(LEASE_SECONDS)

    maintained = await h.app.maintain()
    assert (maintained.evicted, maintained.recovered) == (1, 1)
    waiting = await h.task(task.id)
    assert (waiting.state, waiting.attempt, waiting.failures) == (TaskState.QUEUED, 1, 1)
    assert waiting.failure is not None
    assert waiting.failure.type == "WorkerLost"

    h.clock.advance(10)
    successor = await h.hire()
    again = await h.claim_one(successor)
    assert (again.id, again.worker_id, again.attempt) == (task.id, successor.id, 2)

    assert (await h.settle(Succeeded(zombie, "late"))).refused == {task.id}
    assert (await h.task(task.id)) == again
    await h.settle(Succeeded(again, "good"))
    assert (await h.task(task.id)).output == "good"
    assert [item.outcome for item in await h.app.queries.attempts(task.id)] == [
        AttemptOutcome.FAILED,
        AttemptOutcome.SUCCEEDED,
    ]


async def test_a_result_that_comes_between_eviction_and_recovery_counts_once(h: Harness) -> None:
    await h.hire()
    task = await h.submit("send")
    claimed = await h.claim_one()
    h.clock.advance(LEASE_SECONDS)
    assert (await h.settle(Succeeded(claimed, "just in time"))).refused == frozenset()
    maintained = await h.app.maintain()
    assert (maintained.evicted, maintained.recovered) == (1, 0)
    assert (await h.task(task.id)).output == "just in time"


async def test_a_task_that_kills_its_workers_fails_in_the_end(h: Harness) -> None:
    policy = RetryPolicy(attempts=3, first=timedelta(seconds=1))
    task = await h.submit("send", retry=policy)
    for _ in range(3):
        await h.hire()
        await h.claim_one()
        h.clock.advance(60)
        assert (await h.app.maintain()).recovered == 1
        h.clock.advance(10)
    dead = await h.task(task.id)
    assert (dead.state, dead.attempt, dead.failures) == (TaskState.FAILED, 3, 3)


async def test_losing_a_worker_ends_a_step_whose_task_may_not_be_retried(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one", task="reserve")]))
    await h.claim_one()
    h.clock.advance(LEASE_SECONDS)
    await h.app.maintain()
    assert (await h.run(run.id)).state is RunState.FAILED


async def test_the_steps_of_a_run_survive_the_loss_of_a_worker(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    await h.claim_one()
    h.clock.advance(LEASE_SECONDS)
    await h.app.maintain()
    await h.hire()
    await h.work_for(20)
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_recovery_goes_on_where_a_pass_was_cut_off(h: Harness) -> None:
    worker = await h.hire()
    task = await h.submit("send")
    await h.claim_one()
    h.clock.advance(LEASE_SECONDS)
    async with h.store.write() as uow:  # evicted, and the process died before it recovered
        await uow.workers.save(worker.evict(h.clock.now()), worker.lease_until)
        await uow.commit()
    maintained = await h.app.maintain()
    assert (maintained.evicted, maintained.recovered) == (0, 1)
    assert (await h.task(task.id)).state is TaskState.QUEUED


async def test_two_maintainers_at_once_recover_a_task_once(h: Harness) -> None:
    other = Harness(beside=h)
    await h.hire()
    task = await h.submit("send")
    await h.claim_one()
    h.clock.advance(LEASE_SECONDS)
    first, second = await h.app.maintain(), await other.app.maintain()
    assert first.evicted + second.evicted == 1
    assert first.recovered + second.recovered == 1
    assert (await h.task(task.id)).failures == 1


async def test_every_task_of_a_large_lost_worker_is_recovered(h: Harness) -> None:
    await h.hire(slots=2000)
    policy = RetryPolicy(attempts=2, first=timedelta(0))
    await h.app.submit([Submission("send", {}, retry=policy)] * 600)
    assert len(await h.claim(limit=5000)) == 600
    h.clock.advance(LEASE_SECONDS)
    assert (await h.app.maintain()).recovered == 600


async def test_a_worker_that_says_goodbye_is_stopped(h: Harness) -> None:
    worker = await h.hire()
    await h.app.workers.goodbye(worker)
    await h.app.workers.goodbye(worker)
    [shown] = await h.app.queries.workers()
    assert shown.state is WorkerState.STOPPED
    h.clock.advance(60)
    assert (await h.app.maintain()).evicted == 0


async def test_what_a_stopped_worker_left_behind_is_recovered(h: Harness) -> None:
    worker = await h.hire()
    task = await h.submit("send")
    await h.claim_one()
    await h.app.workers.goodbye(worker)
    assert (await h.app.maintain()).recovered == 1
    assert (await h.task(task.id)).state is TaskState.QUEUED


async def test_an_evicted_worker_may_say_goodbye(h: Harness) -> None:
    worker = await h.hire()
    h.clock.advance(LEASE_SECONDS)
    await h.app.maintain()
    await h.app.workers.goodbye(worker)
    [shown] = await h.app.queries.workers()
    assert shown.state is WorkerState.LOST


async def test_log_lines_are_recorded_and_shown(h: Harness) -> None:
    task = await h.submit()
    fields: dict[str, Json] = {"percent": 50.0}
    lines = [
        LogEntry(task.id, 1, NOW, "info", "hello", {"to": "you"}),
        LogEntry(task.id, 1, NOW, "progress", "half", fields),
    ]
    async with h.app.queries.watch([task.id]) as events:
        await h.app.record(lines)
        await h.app.record([])
        first, second = await anext(events), await anext(events)
    assert (first.type, first.data["message"], first.data["to"]) == ("log", "hello", "you")
    assert (second.type, second.data["percent"]) == ("progress", 50.0)
    assert [entry for _, entry in await h.app.queries.logs(task.id, 0, 9)] == lines
    detail = await h.app.queries.task(task.id)
    assert detail.progress == lines[1]
