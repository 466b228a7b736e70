"""Mistakes about workers: their leases, what they claim, and what they give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cueline.application.outcomes import Released
from cueline.application.settle import Settled, SettleTasks
from cueline.application.workers import Heartbeat, KeepWorkers
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task
from cueline.domain.worker import Worker, WorkerState
from cueline.infrastructure.memory import tasks as memory
from cueline.infrastructure.memory.tables import Views
from cueline.infrastructure.memory.tasks import MemoryTasks
from cueline.interfaces.worker.held import Held, Interruption
from cueline.interfaces.worker.reports import Reports
from cueline.interfaces.worker.worker import WorkerLoop
from tests.simulation.mistakes import mistake


@mistake
def the_lease_is_not_renewed(patch: pytest.MonkeyPatch) -> None:
    """A heartbeat is answered as ever, and its transaction is not committed."""
    genuine = KeepWorkers.heartbeat

    async def heartbeat(self: KeepWorkers, worker: Worker, held: Mapping[TaskId, int]) -> Heartbeat:
        beat = await genuine(self, worker, held)
        async with self._store.write() as uow:
            await uow.workers.save(worker, beat.worker.lease_until)
            await uow.commit()
        return replace(beat, worker=worker)

    patch.setattr(KeepWorkers, "heartbeat", heartbeat)


@mistake
def a_lost_worker_claims(patch: pytest.MonkeyPatch) -> None:
    """A claim does not look whether its worker is still live; the next beat will tell."""

    def may_be_given(views: Views, claimed: Sequence[Task]) -> list[Task]:
        paused = memory._paused_queues(views)
        return [task for task in claimed if task.spec.queue not in paused]

    patch.setattr(memory, "_may_be_given", may_be_given)


@mistake
def revoked_handlers_go_on(patch: pytest.MonkeyPatch) -> None:
    """A worker is not told of the tasks that were cancelled under its hands."""
    genuine = KeepWorkers.heartbeat

    async def heartbeat(self: KeepWorkers, worker: Worker, held: Mapping[TaskId, int]) -> Heartbeat:
        return replace(await genuine(self, worker, held), revoked=frozenset())

    patch.setattr(KeepWorkers, "heartbeat", heartbeat)


@mistake
def strays_are_released_at_first_sight(patch: pytest.MonkeyPatch) -> None:
    """What the worker does not know is released at once, even while its claim is being made."""

    async def release_strays(self: WorkerLoop, strays: Sequence[Task]) -> None:
        if lost := [task for task in strays if task.id not in self._held]:
            await self._app.settle([Released(task) for task in lost])

    patch.setattr(WorkerLoop, "_release_strays", release_strays)


@mistake
def a_stop_gives_nothing_back(patch: pytest.MonkeyPatch) -> None:
    """A worker that stops drops what it holds: it is charged as if the worker had been lost."""
    genuine = Held.interrupt

    def interrupt(self: Held, why: Interruption) -> None:
        genuine(self, Interruption.REVOKED)

    patch.setattr(Held, "interrupt", interrupt)


@mistake
def log_lines_are_lost_on_the_way(patch: pytest.MonkeyPatch) -> None:
    """What could not be written is not kept for the next time."""

    def put_back(self: Reports, entries: Sequence[Any]) -> None: ...

    patch.setattr(Reports, "put_back", put_back)


@mistake
def more_is_taken_along_than_there_is_room(patch: pytest.MonkeyPatch) -> None:
    """A worker takes along every step that follows, not one for each slot that it keeps."""

    async def settle(
        self: SettleTasks, outcomes: Any, logs: Any = (), taker: Any = None
    ) -> Settled:
        wider = None if taker is None else replace(taker, slots=10 * taker.slots)
        return await genuine(self, outcomes, logs, wider)

    genuine = SettleTasks.__call__
    patch.setattr(SettleTasks, "__call__", settle)


@mistake
def what_follows_is_taken_past_a_pause(patch: pytest.MonkeyPatch) -> None:
    """A worker takes along the next step of a run although its queue is paused."""

    async def add_claimed(self: MemoryTasks, tasks: Sequence[Task]) -> set[TaskId]:
        rows = self._access.look().workers.rows()
        live = {worker.id for worker in rows if worker.state is WorkerState.LIVE}
        return await self.add_many([task for task in tasks if task.worker_id in live])

    patch.setattr(MemoryTasks, "add_claimed", add_claimed)


@mistake
def what_was_taken_along_is_dropped(patch: pytest.MonkeyPatch) -> None:
    """A worker claims the next step with its settlement, and does not begin it."""
    genuine = SettleTasks.__call__

    async def settle(self: SettleTasks, *args: Any, **kwargs: Any) -> Settled:
        return replace(await genuine(self, *args, **kwargs), claimed=())

    patch.setattr(SettleTasks, "__call__", settle)
