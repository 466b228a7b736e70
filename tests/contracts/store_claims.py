"""Claiming: which tasks a worker gets, and as what."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import Since, Taken
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.queue import Queue
from cueline.domain.task import Origin, Priority, Task, TaskState
from cueline.domain.worker import Worker, WorkerState
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.messages import Begin
from tests.contracts.store_suite import StoreSuite, get, get_all, get_run, hired, put, put_run, save
from tests.contracts.store_tasks import EVERY_KIND
from tests.doubles import NOW
from tests.factories import (
    a_claimant,
    a_run,
    a_step,
    a_task,
    a_task_id,
    a_worker,
    a_workflow,
)

SECOND = timedelta(seconds=1)


class ClaimContract(StoreSuite):
    @pytest.mark.parametrize("way", ["by its id", "as it is due"])
    async def test_a_claimed_task_is_what_the_domain_makes_of_it(
        self, store: Store, way: str
    ) -> None:
        [worker] = await hired(store, a_worker())
        full = a_task(
            input=EVERY_KIND,
            key="a key",
            tags=("red",),
            timeout=SECOND,
            origin=Origin(RunId(a_run().id), "charge"),
            run_at=NOW - 60 * SECOND,
        )
        await put(store, full)
        began = full.claim(a_worker().id, NOW - 30 * SECOND)
        failed = began.fail(Failure("Oops", "no"), NOW - 20 * SECOND, 0.0)
        handed = replace(failed, dispatch_at=NOW, dispatches=3)
        for step in (began, failed):
            assert await save(store, step) == set()
        async with store.write() as uow:
            for again in (NOW - 2 * SECOND, NOW - SECOND, NOW):
                await uow.tasks.set_dispatched({full.id: again})
            await uow.commit()
        assert await get(store, full.id) == handed
        async with store.at_once() as uow:
            claimed = (
                await uow.tasks.claim_many([full.id], a_claimant(worker), NOW)
                if way == "by its id"
                else (await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9)).claimed
            )
            await uow.commit()
        assert claimed == [handed.claim(worker.id, NOW)]
        assert await get(store, full.id) == claimed[0]

    async def test_only_what_is_ready_is_claimed(self, store: Store) -> None:
        [worker] = await hired(store, a_worker())
        ready, ahead = a_task(), a_task(run_at=NOW + timedelta.resolution)
        handed = a_task()
        others = [a_task(state=state) for state in TaskState if state is not TaskState.QUEUED]
        tasks = [ready, ahead, handed, *others]
        await put(store, *tasks)
        async with store.write() as uow:
            await uow.tasks.set_dispatched({handed.id: NOW + SECOND})
            await uow.commit()
        ids = [*(task.id for task in tasks), a_task_id(), ready.id]
        async with store.at_once() as uow:
            assert await uow.tasks.claim_many([], a_claimant(worker), NOW) == []
            claimed = await uow.tasks.claim_many(ids, a_claimant(worker), NOW)
            await uow.commit()
        assert {task.id for task in claimed} == {ready.id, handed.id}
        assert await get_all(store, [task.id for task in (ahead, *others)]) == [ahead, *others]

    async def test_what_was_handed_to_the_broker_is_not_claimed_unheard_of(
        self, store: Store
    ) -> None:
        [worker] = await hired(store, a_worker())
        handed = a_task()
        await put(store, handed, a_task(run_at=NOW + timedelta.resolution))
        async with store.write() as uow:
            await uow.tasks.set_dispatched({handed.id: NOW + SECOND})
            await uow.commit()
        assert await _claimed_of(store, worker) == []
        [claimed] = await _claimed_of(store, worker, now=NOW + SECOND, limit=1)
        assert claimed.state is TaskState.RUNNING

    async def test_nothing_is_given_to_a_worker_that_is_not_live(self, store: Store) -> None:
        workers = await hired(store, a_worker(), a_worker(state=WorkerState.LOST))
        unknown = a_worker()
        for worker in (*workers, unknown):
            tasks = [a_task(), a_task()]
            await put(store, *tasks)
            async with store.at_once() as uow:
                ids = [task.id for task in tasks]
                claimed = await uow.tasks.claim_many(ids[:1], a_claimant(worker), NOW)
                claimed += (
                    await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9)
                ).claimed
                await uow.commit()
            live = worker is workers[0]
            assert {task.id for task in claimed} == (set(ids) if live else set())
            state = TaskState.RUNNING if live else TaskState.QUEUED
            assert {task.state for task in await get_all(store, ids)} == {state}

    async def test_nothing_is_given_of_a_queue_that_is_paused(self, store: Store) -> None:
        [worker] = await hired(store, a_worker())
        claimant = a_claimant(worker, queues=("held", "free"))
        held, free = [a_task(queue="held") for _ in range(2)], a_task(queue="free")
        await put(store, *held, free)
        for paused, expected in ((True, {free.id}), (False, {task.id for task in held})):
            async with store.write() as uow:
                await uow.queues.save(Queue("held", paused=paused))
                claimed = (await uow.tasks.claim_due("held", claimant, NOW, 1)).claimed
                claimed += await uow.tasks.claim_many(
                    [task.id for task in (*held, free)], claimant, NOW
                )
                await uow.commit()
            assert {task.id for task in claimed} == expected

    async def test_a_worker_is_given_what_it_serves_and_can_handle(self, store: Store) -> None:
        [worker] = await hired(store, a_worker())
        here, elsewhere = a_task(queue="here", name="work"), a_task(queue="elsewhere", name="work")
        strange = a_task(queue="here", name="strange", run_at=NOW - SECOND)
        await put(store, here, elsewhere, strange)
        claimant = a_claimant(worker, queues=("here",), names=("work", "more"))
        ids = [task.id for task in (here, elsewhere, strange)]
        async with store.write() as uow:
            taken = await uow.tasks.claim_due("here", claimant, NOW, 2)
            assert taken.claimed == [here.claim(worker.id, NOW)]
            assert taken.passed_over == {strange.id}
            assert (taken.found, taken.earliest) == (2, {Priority.NORMAL: NOW})
            await uow.tasks.set_dispatched({strange.id: NOW + SECOND})  # nobody else can
        async with store.write() as uow:
            assert (await uow.tasks.claim_due("here", claimant, NOW, 1)).claimed == []
            assert await uow.tasks.claim_due("elsewhere", claimant, NOW, 9) == Taken([])
        async with store.write() as uow:
            claimed = await uow.tasks.claim_many(ids, claimant, NOW)
        assert [task.id for task in claimed] == [here.id]
        nobody = a_claimant(worker, queues=("here",), names=())
        async with store.write() as uow:
            assert await uow.tasks.claim_many(ids, nobody, NOW) == []
            assert await uow.tasks.claim_due("here", nobody, NOW, 9) == Taken([])

    async def test_the_most_urgent_are_claimed_first_then_the_longest_due(
        self, store: Store
    ) -> None:
        [worker] = await hired(store, a_worker())
        late_critical = a_task(priority=Priority.CRITICAL, run_at=NOW)
        high = a_task(priority=Priority.HIGH, run_at=NOW)
        early_normal = a_task(run_at=NOW - 2 * SECOND)
        twins = [a_task(run_at=NOW - SECOND), a_task(run_at=NOW - SECOND)]
        low = a_task(priority=Priority.LOW, run_at=NOW - 9 * SECOND)
        expected = [late_critical, high, early_normal, *twins, low]
        await put(store, low, twins[1], early_normal, twins[0], high, late_critical)
        for count in range(1, len(expected) + 2):
            async with store.write() as uow:  # which is rolled back
                found = await uow.tasks.claim_due("default", a_claimant(worker), NOW, count)
            assert {task.id for task in found.claimed} == {task.id for task in expected[:count]}
            assert found.found == len(found.claimed)
            assert found.earliest == {
                task.spec.priority: task.run_at for task in reversed(expected[:count])
            }
        for urgency in Priority:
            async with store.write() as uow:
                found = await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9, urgency)
            urgent = {task.id for task in expected if task.spec.priority <= urgency}
            assert {task.id for task in found.claimed} == urgent
            assert not found.passed_over

    async def test_a_claim_may_begin_later_and_leaves_out_what_was_due_before(
        self, store: Store
    ) -> None:
        [worker] = await hired(store, a_worker())
        long_ago = a_task(run_at=datetime(1969, 1, 1, tzinfo=UTC))
        early, late = a_task(run_at=NOW - SECOND), a_task(run_at=NOW)
        low = a_task(priority=Priority.LOW, run_at=NOW)
        await put(store, early, late, low, long_ago)
        just_later = timedelta.resolution
        wanted: list[tuple[Since, list[Task]]] = [
            ({}, [long_ago, early, late, low]),
            ({Priority.NORMAL: NOW - SECOND}, [early, late, low]),
            ({Priority.NORMAL: NOW - SECOND + just_later}, [late, low]),
            ({Priority.NORMAL: NOW + just_later, Priority.HIGH: NOW}, [low]),
            (dict.fromkeys(Priority, NOW + just_later), []),
        ]
        for since, expected in wanted:
            async with store.write() as uow:
                found = await uow.tasks.claim_due(
                    "default", a_claimant(worker), NOW, 9, Priority.LOW, since
                )
            assert {task.id for task in found.claimed} == {task.id for task in expected}
            times = {task.spec.priority: task.run_at for task in reversed(expected)}
            assert found.earliest == times

    @pytest.mark.parametrize("way", ["by their ids", "as they are due"])
    async def test_a_task_is_claimed_by_one_worker_alone(self, store: Store, way: str) -> None:
        workers = await hired(store, *(a_worker() for _ in range(4)))
        tasks = [a_task() for _ in range(20)]
        await put(store, *tasks)

        async def claim_some(worker: Worker) -> list[TaskId]:
            async with store.write() as uow:
                claimed = (
                    await uow.tasks.claim_many([task.id for task in tasks], a_claimant(worker), NOW)
                    if way == "by their ids"
                    else (await uow.tasks.claim_due("default", a_claimant(worker), NOW, 5)).claimed
                )
                await asyncio.sleep(0.01)  # so that the others claim meanwhile, if they can
                await uow.commit()
            return [task.id for task in claimed]

        parts = await asyncio.gather(*map(claim_some, workers))
        ids = [id for part in parts for id in part]
        assert sorted(ids) == sorted(task.id for task in tasks)

    @pytest.mark.parametrize("way", ["by their ids", "as they are due"])
    async def test_the_run_of_a_lone_step_comes_along(self, store: Store, way: str) -> None:
        [worker] = await hired(store, a_worker())
        chain = a_workflow(steps=(a_step("first"), a_step("second", after="first")))
        pair = a_workflow(name="pair", steps=(a_step("first"), a_step("second")))
        lone, other, forked = (
            advance(a_run(workflow=workflow, input=EVERY_KIND), Begin(), NOW).run
            for workflow in (chain, chain, pair)
        )
        await put_run(store, lone, other, forked)
        steps = [
            a_task(origin=Origin(run.id, name))
            for run, name in ((lone, "first"), (forked, "first"), (forked, "second"))
        ]
        await put(store, *steps, a_task())
        async with store.at_once() as uow:
            assert await uow.runs.of_claimed([]) == []
            claimed = (
                await uow.tasks.claim_many([task.id for task in steps], a_claimant(worker), NOW)
                if way == "by their ids"
                else (await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9)).claimed
            )
            assert {step.id for step in steps} <= {task.id for task in claimed}
            assert await uow.runs.of_claimed(claimed) == [lone]
            others = [task for task in claimed if task.id != steps[0].id]
            assert await uow.runs.of_claimed(others) == []
            await uow.commit()
        assert await get_run(store, lone.id) == lone


async def _claimed_of(
    store: Store, worker: Worker, now: datetime = NOW, limit: int = 9
) -> list[Task]:
    async with store.at_once() as uow:
        taken = await uow.tasks.claim_due("default", a_claimant(worker), now, limit)
        await uow.commit()
    return taken.claimed
