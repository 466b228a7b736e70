"""What every part of the store's contract has: a store to try, and shortcuts."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import pytest

from cueline.application.ports.persistence import Store
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.task import Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import Run
from tests.doubles import FakeClock


class StoreSuite:
    """The fixtures; an adapter's tests name the adapter, and override `store`."""

    adapter: ClassVar[type[Store]]

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> Store:
        raise NotImplementedError


async def put(store: Store, *tasks: Task) -> None:
    """Store tasks, in whatever state."""
    async with store.write() as uow:
        added = await uow.tasks.add_many(tasks)
        await uow.commit()
    assert len(added) == len(tasks)


async def save(store: Store, *tasks: Task) -> set[TaskId]:
    """Save tasks; answer the stale ones."""
    async with store.write() as uow:
        stale = await uow.tasks.save_many(tasks)
        await uow.commit()
    return stale


async def hired(store: Store, *workers: Worker) -> list[Worker]:
    """Register workers, in whatever state."""
    async with store.write() as uow:
        for worker in workers:
            await uow.workers.add(worker)
        await uow.commit()
    return list(workers)


async def get(store: Store, id: TaskId) -> Task:
    """The one task with this id."""
    async with store.read() as uow:
        [task] = await uow.tasks.get_many([id])
    return task


async def get_all(store: Store, ids: Collection[TaskId]) -> list[Task]:
    """The tasks with these ids, by id."""
    async with store.read() as uow:
        return sorted(await uow.tasks.get_many(ids), key=lambda task: task.id)


async def put_run(store: Store, *runs: Run) -> None:
    """Store runs."""
    async with store.write() as uow:
        added = await uow.runs.add_many(runs)
        await uow.commit()
    assert len(added) == len(runs)


async def get_run(store: Store, id: RunId) -> Run:
    """The one run with this id."""
    async with store.read() as uow:
        [run] = await uow.runs.get_many([id])
    return run
