"""Whoever settles a step may take along what follows: it is claimed in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cueline.application.advancing import Taker
from cueline.application.outcomes import Succeeded
from cueline.application.settle import Settled
from cueline.domain.task import TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import RunState
from tests.factories import a_step, a_workflow
from tests.harness import Harness

FAN = a_workflow(
    steps=[
        a_step("first"),
        *(a_step(f"branch_{number}", after="first") for number in range(3)),
        replace(a_step("elsewhere", after="first"), queue="other"),
    ],
)


async def settle_the_first(h: Harness, worker: Worker, *, slots: int = 10) -> Settled:
    """Do the first step of a run of `FAN`; its worker has so many slots for what follows."""
    await h.start(FAN)
    await h.app.dispatch()
    [first] = await h.app.claim(worker, h.executor.names, 1, 0)
    taker = Taker(worker, h.executor.names, slots)
    return await h.app.settle([Succeeded(first, None)], taker=taker)


async def test_what_follows_is_claimed_and_does_not_go_through_the_broker(h: Harness) -> None:
    worker = await h.hire(slots=10)
    settled = await settle_the_first(h, worker)
    steps = {task.spec.origin.step for task in settled.claimed if task.spec.origin}
    assert steps == {"branch_0", "branch_1", "branch_2"}  # the other queue is not this worker's
    for task in settled.claimed:
        stored = await h.task(task.id)
        assert stored == task
        assert (stored.state, stored.attempt, stored.version) == (TaskState.RUNNING, 1, 2)
        assert stored.worker_id == worker.id
    assert await h.in_broker() == 0


async def test_no_more_is_taken_than_there_is_room_for(h: Harness) -> None:
    worker = await h.hire(slots=10)
    settled = await settle_the_first(h, worker, slots=2)
    assert len(settled.claimed) == 2
    assert await h.in_broker() == 1


async def test_nothing_is_taken_from_a_paused_queue(h: Harness) -> None:
    worker = await h.hire(slots=10)
    await h.start(FAN)
    await h.app.dispatch()
    [first] = await h.app.claim(worker, h.executor.names, 1, 0)
    await h.app.queues.pause("default")
    taker = Taker(worker, h.executor.names, 10)
    assert (await h.app.settle([Succeeded(first, None)], taker=taker)).claimed == ()


async def test_a_worker_that_was_evicted_takes_nothing(h: Harness) -> None:
    worker = await h.hire(slots=10)
    await h.start(FAN)
    await h.app.dispatch()
    [first] = await h.app.claim(worker, h.executor.names, 1, 0)
    h.clock.advance(h.app.workers.lease / timedelta(seconds=1) + 1)
    await h.app.maintain._evict()
    taker = Taker(worker, h.executor.names, 10)
    settled = await h.app.settle([Succeeded(first, None)], taker=taker)
    assert [task.id for task in settled.accepted] == [first.id]
    assert settled.claimed == ()


async def test_tasks_without_a_handler_are_left_to_others(h: Harness) -> None:
    worker = await h.hire(slots=10)
    await h.start(FAN)
    await h.app.dispatch()
    [first] = await h.app.claim(worker, h.executor.names, 1, 0)
    settled = await h.app.settle([Succeeded(first, None)], taker=Taker(worker, ["unknown"], 10))
    assert settled.claimed == ()


async def test_a_run_goes_on_to_its_end_in_one_worker_s_hands(h: Harness) -> None:
    worker = await h.hire(slots=10)
    chain = a_workflow(steps=[a_step("a"), a_step("b", after="a")])
    run = await h.start(chain)
    await h.app.dispatch()
    claimed = await h.app.claim(worker, h.executor.names, 1, 0)
    while claimed:
        taker = Taker(worker, h.executor.names, len(claimed))
        outcomes = [await h.perform(task) for task in claimed]
        claimed = list((await h.app.settle(outcomes, taker=taker)).claimed)
    assert (await h.app.queries.run(run.id)).run.state is RunState.SUCCEEDED
