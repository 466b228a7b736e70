"""Optimistic units of work: what they answered is true, or nothing of them is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import Outdated
from cueline.domain.queue import Queue
from cueline.domain.task import Task
from cueline.domain.worker import WorkerState
from cueline.domain.workflow.run import Run, RunState
from tests.contracts.store_suite import StoreSuite, get, get_run, hired, put, put_run, save
from tests.doubles import NOW
from tests.factories import a_claimant, a_run, a_task, a_worker


class OptimismContract(StoreSuite):
    async def test_what_went_as_expected_is_kept(self, store: Store) -> None:
        run = a_run()
        [worker] = await hired(store, a_worker())
        running = a_task().claim(worker.id, NOW)
        await put_run(store, run)
        await put(store, running)
        claimed = a_task().claim(worker.id, NOW)
        fresh, done = a_task(), running.succeed(1, NOW)
        async with store.optimistic() as uow:
            await uow.runs.suppose([run])
            assert await uow.tasks.save_many([done]) == set()
            await uow.runs.save_many([_paused(run)])
            assert await uow.tasks.add_claimed([claimed]) == {claimed.id}
            assert await uow.tasks.add_many([fresh]) == {fresh.id}
            await uow.journal.add_logs([LogEntry(done.id, 1, NOW, "info", "done")])
            await uow.commit()
        assert await get_run(store, run.id) == _paused(run)
        for task in (done, claimed, fresh):
            assert await get(store, task.id) == task
        async with store.read() as uow:
            assert len(await uow.journal.logs(done.id, 0, 10)) == 1

    async def test_new_runs_are_kept_with_what_goes_with_them(self, store: Store) -> None:
        runs, tasks = [a_run(key="one"), a_run()], [a_task(), a_task()]
        async with store.optimistic() as uow:
            assert await uow.runs.by_keys(["one"]) == []
            assert await uow.runs.add_many(runs) == {run.id for run in runs}
            assert await uow.tasks.add_many(tasks) == {task.id for task in tasks}
            await uow.commit()
        for run in runs:
            assert await get_run(store, run.id) == run
        for task in tasks:
            assert await get(store, task.id) == task

    async def test_what_is_not_committed_is_not_kept(self, store: Store) -> None:
        task = a_task()
        async with store.optimistic() as uow:
            await uow.tasks.add_many([task])
        async with store.read() as uow:
            assert await uow.tasks.get_many([task.id]) == []

    async def test_a_commit_of_nothing_is_no_matter(self, store: Store) -> None:
        async with store.optimistic() as uow:
            await uow.runs.suppose([])
            await uow.commit()

    async def test_a_supposed_run_that_has_moved_on_is_not_overwritten(self, store: Store) -> None:
        run = a_run()
        await put_run(store, run)
        await _move_on(store, run)
        await _expect_nothing_kept(store, partial(_cancel, run))
        assert await get_run(store, run.id) == _paused(run)

    async def test_a_transaction_may_suppose_a_run_as_well(self, store: Store) -> None:
        run, other = a_run(), a_run()
        await put_run(store, run, other)
        await _keep(store.write(), partial(_cancel, run))
        assert (await get_run(store, run.id)).cancelled
        await _move_on(store, other)
        with pytest.raises(Outdated):
            await _keep(store.write(), partial(_cancel, other))
        assert await get_run(store, other.id) == _paused(other)

    async def test_a_supposed_run_is_compared_if_it_is_saved_as_it_was(self, store: Store) -> None:
        run = a_run()
        await put_run(store, run)
        await _keep(store.optimistic(), partial(_keep_as_it_was, run))
        assert await get_run(store, run.id) == run
        await _move_on(store, run)
        await _expect_nothing_kept(store, partial(_keep_as_it_was, run))
        assert await get_run(store, run.id) == _paused(run)

    async def test_what_cannot_be_put_off_is_outdated_or_done(self, store: Store) -> None:
        run, task = a_run(), a_task()
        [worker] = await hired(store, a_worker())
        await put_run(store, run)
        await put(store, task)
        claimant = a_claimant(worker)
        changes: list[Callable[[UnitOfWork], Awaitable[object]]] = [
            lambda uow: uow.runs.lock_many([run.id]),
            lambda uow: uow.tasks.claim_many([task.id], claimant, NOW),
            lambda uow: uow.queues.save(Queue("paused", paused=True)),
        ]
        for change in changes:
            with suppress(Outdated):
                async with store.optimistic() as uow:
                    await change(uow)
        assert await get(store, task.id) == task
        async with store.read() as uow:
            assert await uow.queues.list_all() == []

    async def test_a_supposed_run_that_is_gone_is_outdated(self, store: Store) -> None:
        await _expect_nothing_kept(store, partial(_cancel, a_run()))

    async def test_a_stale_task_is_told_or_nothing_is_kept(self, store: Store) -> None:
        running = a_task().claim(a_worker().id, NOW)
        await put(store, running)
        await save(store, running.succeed(1, NOW))

        async def settle(uow: UnitOfWork) -> bool:
            return await uow.tasks.save_many([running.succeed(2, NOW)]) == set()

        await _expect_truth(store, settle)
        assert (await get(store, running.id)).output == 1

    async def test_a_task_that_is_there_is_told_or_nothing_is_kept(self, store: Store) -> None:
        task = a_task(key="taken")
        await put(store, task)

        for double in (task, a_task(key="taken")):
            await _expect_truth(store, partial(_is_added, double))

    async def test_a_run_that_is_there_is_told_or_nothing_is_kept(self, store: Store) -> None:
        run = a_run(key="taken")
        await put_run(store, run)

        async def add(uow: UnitOfWork) -> bool:
            return len(await uow.runs.add_many([a_run(key="taken")])) == 1

        await _expect_truth(store, add)

    async def test_a_claim_that_may_not_be_is_told_or_nothing_is_kept(self, store: Store) -> None:
        live, gone = await hired(store, a_worker(), a_worker(state=WorkerState.LOST))
        async with store.write() as uow:
            await uow.queues.save(Queue("paused", paused=True))
            await uow.commit()

        for worker, queue in ((gone, "default"), (live, "paused")):
            task = a_task(queue=queue).claim(worker.id, NOW)
            await _expect_truth(store, partial(_is_added_claimed, task))

    async def test_what_was_written_is_read_or_outdated(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        async with store.optimistic() as uow:
            assert await uow.tasks.get_many([task.id]) == [task]
            new = a_task()
            await uow.tasks.add_many([new])
            try:
                assert await uow.tasks.get_many([new.id]) == [new]
            except Outdated:
                return


def _paused(run: Run) -> Run:
    return replace(run, state=RunState.PAUSED, version=run.version + 1)


async def _move_on(store: Store, run: Run) -> None:
    async with store.write() as uow:
        await uow.runs.lock_many([run.id])
        await uow.runs.save_many([_paused(run)])
        await uow.commit()


async def _cancel(run: Run, uow: UnitOfWork) -> None:
    await uow.runs.suppose([run])
    await uow.runs.save_many([replace(run, cancelled=True, version=run.version + 1)])


async def _keep_as_it_was(run: Run, uow: UnitOfWork) -> None:
    await uow.runs.suppose([run])
    await uow.runs.save_many([run])


async def _keep(unit: UnitOfWork, change: Callable[[UnitOfWork], Awaitable[None]]) -> None:
    async with unit as uow:
        await change(uow)
        await uow.commit()


async def _expect_nothing_kept(
    store: Store, change: Callable[[UnitOfWork], Awaitable[None]]
) -> None:
    """That a change is outdated, and that nothing which goes with it is kept."""
    beside = a_task()

    async def both(uow: UnitOfWork) -> None:
        await uow.tasks.add_many([beside])
        await change(uow)

    with pytest.raises(Outdated):
        await _keep(store.optimistic(), both)
    async with store.read() as uow:
        assert await uow.tasks.get_many([beside.id]) == []


async def _is_added(task: Task, uow: UnitOfWork) -> bool:
    return await uow.tasks.add_many([task]) == {task.id}


async def _is_added_claimed(task: Task, uow: UnitOfWork) -> bool:
    return await uow.tasks.add_claimed([task]) == {task.id}


async def _expect_truth(store: Store, change: Callable[[UnitOfWork], Awaitable[bool]]) -> None:
    """That a change which cannot be made is not said to be made, unless nothing is kept."""
    beside = a_task().id
    seems_made, outdated = True, False
    try:
        async with store.optimistic() as uow:
            await uow.journal.add_logs([LogEntry(beside, 1, NOW, "info", "beside")])
            seems_made = await change(uow)
            await uow.commit()
    except Outdated:
        outdated = True
    assert outdated or not seems_made
    async with store.read() as uow:
        assert len(await uow.journal.logs(beside, 0, 10)) == (0 if outdated else 1)
