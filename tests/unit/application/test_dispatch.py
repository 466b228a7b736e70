"""Dispatching: the broker holds a window, the store the rest, and what is lost comes again."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from cueline.application import backlog
from cueline.application.dispatch import BRIEF, PASSES_BETWEEN_LOOKS
from cueline.application.tasks import Submission
from cueline.domain.task import Priority, Task, TaskState
from tests.doubles import NOW
from tests.factories import a_step, a_workflow
from tests.harness import Harness


async def submit_many(h: Harness, count: int) -> list[Task]:
    """Submit tasks; answer them in order."""
    return [item.task for item in await h.app.submit([Submission("send", {})] * count)]


# --- runs, in processes that dispatch nothing -----------------------------------------------------


CHAIN = a_workflow(steps=[a_step("one"), a_step("two", after="one")])


async def test_the_first_step_of_a_run_is_published_by_the_process_that_starts_it(
    h: Harness,
) -> None:
    await h.hire(slots=4)
    await Harness(beside=h).start(CHAIN)
    assert await h.in_broker() == 1


async def test_a_next_step_finds_the_room_that_other_processes_made(h: Harness) -> None:
    worker = await h.hire(slots=1)
    await h.start(CHAIN)
    await submit_many(h, 1)  # now the window is full, as far as this process knows
    other = Harness(beside=h)
    step, task = await other.app.claim(worker, other.executor.names, 2, 0)
    h.clock.advance(1)
    await h.settle(await h.perform(step))
    assert task.spec.origin is None
    assert await h.in_broker() == 1


# --- the window -----------------------------------------------------------------------------------


async def test_without_workers_everything_stays_in_the_store(h: Harness) -> None:
    await submit_many(h, 5)
    done = await h.app.dispatch()
    assert done.count == 0
    assert await h.in_broker() == 0


async def test_a_submit_that_finds_room_publishes_at_once(h: Harness) -> None:
    await h.hire(slots=4)
    task = await h.submit()
    assert await h.in_broker() == 1
    assert (await h.task(task.id)).dispatches == 1


async def test_a_queue_that_falls_due_beside_a_backlog_is_seen_after_a_few_passes(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "UNHEARD_FOR", 0)  # what is claimed is the broker's
    worker = await h.hire("default", "printer", slots=4)
    await submit_many(h, 1000)
    late = await h.submit("print", delay=timedelta(seconds=1))
    other = Harness(beside=h)  # whose workers do not relieve this dispatcher
    claimed: set[str] = set()
    for each in range(PASSES_BETWEEN_LOOKS + 3):
        if each == 2:  # now it goes on in one queue
            h.clock.advance(2)
        claimed.update(t.id for t in await other.app.claim(worker, h.executor.names, 4, 0))
        assert (await h.app.dispatch()).count
    assert late.id in claimed


async def test_the_backlog_stays_in_the_store(h: Harness) -> None:
    await h.hire(slots=4)
    await submit_many(h, 100)
    assert await h.in_broker() == 8
    assert (await h.app.dispatch()).count == 0
    assert await h.in_broker() == 8


async def test_room_counts_every_live_worker_that_serves_the_queue(h: Harness) -> None:
    await h.hire("default", "other", slots=4)
    await h.hire("default", slots=2)
    await h.hire("other", slots=50)
    await submit_many(h, 100)
    assert await h.in_broker() == 12


async def test_a_worker_whose_lease_lapsed_makes_no_room(h: Harness) -> None:
    await h.hire(slots=4)
    h.clock.advance(15)
    await submit_many(h, 100)
    await h.app.dispatch()
    assert await h.in_broker() == 0


async def test_what_is_claimed_makes_room_for_the_next(h: Harness) -> None:
    await h.hire(slots=4)
    await submit_many(h, 20)
    await h.claim(limit=3)
    assert (await h.app.dispatch()).count == 3
    assert await h.in_broker() == 8


async def test_a_busy_queue_takes_no_room_from_another(h: Harness) -> None:
    await h.hire("default", "printer", slots=2)
    await submit_many(h, 50)
    await h.submit("print")
    assert await h.in_broker() == 4
    assert await h.in_broker("printer") == 1


async def test_the_bell_rings_for_what_was_left_to_the_dispatcher(h: Harness) -> None:
    await h.hire(slots=1)
    await h.app.backlog.wait(0)
    await submit_many(h, 2)
    assert not await h.app.backlog.wait(0)
    await submit_many(h, 1)
    assert await h.app.backlog.wait(0)


async def test_a_pass_of_the_dispatcher_leaves_the_room_it_did_not_need(h: Harness) -> None:
    task = await h.submit()
    await h.hire(slots=4)
    assert (await h.app.dispatch()).count == 1
    later = await h.submit()
    assert (await h.task(task.id)).dispatches == 1
    assert (await h.task(later.id)).dispatches == 1
    assert await h.in_broker() == 2


async def test_a_full_window_is_filled_up_but_never_beyond(h: Harness) -> None:
    await h.hire(slots=4)
    await submit_many(h, 1)
    await h.app.dispatch()
    await submit_many(h, 100)
    await h.app.dispatch()
    assert await h.in_broker() == 8


# --- order ----------------------------------------------------------------------------------------


async def test_tasks_are_dispatched_by_priority_then_age(h: Harness) -> None:
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL, Priority.NORMAL]
    tasks = [await h.submit(priority=priority) for priority in order]
    await h.hire(slots=1)
    done = await h.work()
    assert [task.id for task in done] == [tasks[n].id for n in (3, 2, 1, 4, 0)]


async def test_a_critical_task_overtakes_a_backlog(h: Harness) -> None:
    await h.hire(slots=1)
    await submit_many(h, 50)
    critical = await h.submit(priority=Priority.CRITICAL)
    done = await h.work(at_most=5)
    assert critical.id in {task.id for task in done}


async def test_an_urgent_task_finds_room_in_a_window_full_of_less_urgent_ones(h: Harness) -> None:
    worker = await h.hire(slots=2)
    for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL):
        await h.app.submit([Submission("send", {}, priority=priority)] * 9)
    held = await h.broker.depths("default")
    assert held == {Priority.LOW: 4, Priority.NORMAL: 4, Priority.CRITICAL: 4}
    claimed = await h.claim(worker, limit=5)
    assert [task.spec.priority for task in claimed] == [Priority.CRITICAL] * 4 + [Priority.NORMAL]


async def test_of_a_batch_the_urgent_are_published_first(h: Harness) -> None:
    await h.hire(slots=1)
    batch = [Submission("send", {}, priority=Priority.LOW)] * 5
    batch.append(Submission("send", {}, priority=Priority.CRITICAL))
    answers = await h.app.submit(batch)
    assert await h.in_broker() == 2
    assert (await h.task(answers[-1].task.id)).dispatches == 1


# --- time -----------------------------------------------------------------------------------------


async def test_a_delayed_task_is_dispatched_when_its_time_has_come(h: Harness) -> None:
    await h.hire()
    task = await h.submit(delay=timedelta(minutes=5))
    done = await h.app.dispatch()
    assert (done.count, done.next_due) == (0, NOW + timedelta(minutes=5))
    h.clock.advance(299)
    assert await h.work() == []
    h.clock.advance(1)
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_paused_queue_dispatches_nothing_until_it_is_resumed(h: Harness) -> None:
    await h.hire()
    await h.app.queues.pause("default")
    task = await h.submit()
    assert await h.work() == []
    assert await h.in_broker() == 0
    assert (await h.app.dispatch()).next_due is None
    await h.app.queues.resume("default")
    assert [done.id for done in await h.work()] == [task.id]


# --- loss -----------------------------------------------------------------------------------------


async def test_a_lost_message_comes_again_after_growing_delays(h: Harness) -> None:
    task = await h.submit()
    dispatched = []
    for second in range(100):
        await h.worker()  # its lease is renewed
        if (await h.app.dispatch()).count:
            dispatched.append(second)
        await h.broker.wipe()
        h.clock.advance(1)
    assert dispatched == [0, 5, 15, 35, 75]
    assert [done.id for done in await h.work_for(80)] == [task.id]


async def test_the_delay_grows_to_five_minutes_at_most(h: Harness) -> None:
    await h.submit()
    moments = []
    for second in range(0, 3000, 5):
        await h.worker()  # its lease is renewed
        if (await h.app.dispatch()).count:
            moments.append(second)
        await h.broker.wipe()
        h.clock.advance(5)
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(gaps[6:]) == {300}


async def test_a_message_that_is_slow_but_not_lost_does_no_harm(h: Harness) -> None:
    task = await h.submit()
    await h.worker()
    await h.app.dispatch()
    h.clock.advance(6)
    await h.app.dispatch()
    assert await h.in_broker() == 2
    assert [done.id for done in await h.work()] == [task.id]
    assert await h.in_broker() == 0
    assert len(h.executor.executed) == 1


async def test_wiping_the_broker_in_the_middle_of_a_load_loses_nothing(h: Harness) -> None:
    await h.hire(slots=4)
    tasks = await submit_many(h, 60)
    done: list[Task] = []
    for _ in range(15):
        done += await h.work(at_most=4)
        await h.broker.wipe()
        h.clock.advance(6)
    done += await h.work_for(60)
    assert sorted(task.id for task in done) == [task.id for task in tasks]
    assert len(h.executor.executed) == 60


async def test_a_broker_that_refuses_does_not_refuse_work(h: Harness) -> None:
    await h.hire()
    h.broker.refusing = frozenset({"publish"})
    task = await h.submit()
    assert (await h.task(task.id)).state is TaskState.QUEUED
    h.broker.refusing = frozenset()
    h.clock.advance(5)
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_broker_that_does_not_answer_at_all_does_not_refuse_work(h: Harness) -> None:
    await h.hire()
    h.clock.advance(2)
    h.broker.refusing = frozenset({"publish", "depth"})
    task = await h.submit()
    assert (await h.app.dispatch()).count == 0
    assert (await h.task(task.id)).dispatches == 0
    await h.broker_comes_back()
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_publish_that_fails_in_the_dispatcher_is_made_up_for(h: Harness) -> None:
    task = await h.submit()
    await h.hire()
    h.broker.refusing = frozenset({"publish"})
    assert (await h.app.dispatch()).count == 0
    await h.broker_comes_back()
    assert (await h.app.dispatch()).count == 1
    assert [done.id for done in await h.work()] == [task.id]


async def test_two_dispatchers_at_once_hand_out_nothing_twice(h: Harness) -> None:
    other = Harness(beside=h)
    await submit_many(h, 3)
    await h.hire()
    first = await h.app.dispatch()
    second = await other.app.dispatch()
    assert (first.count, second.count) == (3, 0)
    assert await h.in_broker() == 3


async def test_who_only_submits_soon_sees_that_room_was_made(h: Harness) -> None:
    worker = await h.hire(slots=4)
    submitter = Harness(beside=h)
    for _ in range(8):
        await submitter.submit()
    assert await h.in_broker() == 8
    assert len(await h.app.claim(worker, h.executor.names, 8, 0)) == 8
    left = await submitter.submit()
    assert (await h.task(left.id)).dispatches == 0  # as far as it knows, there is no room
    h.clock.advance(BRIEF.total_seconds())
    sent = await submitter.submit()
    assert (await h.task(sent.id)).dispatches == 1
