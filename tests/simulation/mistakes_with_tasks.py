"""Mistakes about tasks: the fence, recovery, submitting and claiming."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest

from cueline.application.backlog import Backlog
from cueline.application.bookmarks import _Bookmark
from cueline.application.claiming import ClaimTasks
from cueline.application.hints import Hints
from cueline.application.maintain import Maintain
from cueline.application.outcomes import Failed
from cueline.application.ports.questions import Claimant, Taken
from cueline.application.settle import Settled, SettleTasks
from cueline.application.tasks import Submission, SubmitTasks, Submitted
from cueline.application.workers import Heartbeat, KeepWorkers
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import Unavailable
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId
from cueline.domain.retry import RetryDecision, RetryPolicy
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker, WorkerState
from cueline.infrastructure.memory import tasks as memory
from cueline.infrastructure.memory.copying import copy_of_task
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.simulation.mistakes import mistake

# --- the fence ------------------------------------------------------------------------------------


@mistake
def no_version_check(patch: pytest.MonkeyPatch) -> None:
    """Tasks are saved whatever their version."""

    async def save_many(self: MemoryTasks, tasks: Sequence[Task]) -> set[TaskId]:
        rows = self._access.change().tasks
        for task in tasks:
            if (held := rows.get(task.id)) is not None:
                rows.put(task.id, copy_of_task(task, held.spec))
        return set()

    patch.setattr(MemoryTasks, "save_many", save_many)


@mistake
def requeue_without_a_version(patch: pytest.MonkeyPatch) -> None:
    """What is taken from a lost worker goes back under the version that the worker knows."""

    async def save_many(self: MemoryTasks, tasks: Sequence[Task]) -> set[TaskId]:
        lost = {
            task.id: replace(task, version=task.version - 1)
            for task in tasks
            if task.failure is not None
            and task.failure.type == "WorkerLost"
            and task.state is TaskState.QUEUED
        }
        rows = self._access.change().tasks
        for task in lost.values():
            if (held := rows.get(task.id)) is not None and held.version == task.version:
                rows.put(task.id, copy_of_task(task, held.spec))
        return await genuine(self, [task for task in tasks if task.id not in lost])

    genuine = MemoryTasks.save_many
    patch.setattr(MemoryTasks, "save_many", save_many)


@mistake
def stale_outcomes_are_believed(patch: pytest.MonkeyPatch) -> None:
    """An outcome that the store refused is told to the run and to the worker as accepted."""

    async def save_many(self: MemoryTasks, tasks: Sequence[Task]) -> set[TaskId]:
        stale = await genuine(self, tasks)
        return {task.id for task in tasks if task.id in stale and not task.state.ended}

    genuine = MemoryTasks.save_many
    patch.setattr(MemoryTasks, "save_many", save_many)


# --- recovery -------------------------------------------------------------------------------------


@mistake
def lost_attempts_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A lost worker's attempts are given back, so that a poison task kills workers for ever."""

    async def settle_all(self: Maintain, orphans: Sequence[Task]) -> int:
        outcomes = [_Uncharged(task, Failure.worker_lost(str(task.worker_id))) for task in orphans]
        return len((await self._settle(outcomes)).accepted)

    patch.setattr(Maintain, "_settle_all", settle_all)


class _Uncharged(Failed):
    def apply(self, now: datetime, chance: float) -> Task:
        failed = super().apply(now, chance)
        return replace(failed, failures=self.task.failures)


@mistake
def a_lost_message_is_lost(patch: pytest.MonkeyPatch) -> None:
    """A task that was handed to the broker is not due again, should the message be lost."""

    def handed_to_broker(self: Task, now: datetime) -> Task:
        return replace(self, dispatch_at=None, dispatches=self.dispatches + 1)

    patch.setattr(Task, "handed_to_broker", handed_to_broker)


@mistake
def eviction_forgets_the_tasks(patch: pytest.MonkeyPatch) -> None:
    """Lost workers are evicted, and what they held stays theirs."""

    async def recover(self: Maintain) -> int:
        return 0

    patch.setattr(Maintain, "_recover", recover)


@mistake
def recovery_looks_at_time_only(patch: pytest.MonkeyPatch) -> None:
    """Tasks that have run for long are taken from their workers, lease or no lease."""

    async def recover(self: Maintain) -> int:
        now = self._clock.now()
        async with self._store.read() as uow:
            held = [
                id
                for worker in await uow.workers.live()
                for id in await uow.tasks.held_by(worker.id)
            ]
            tasks = await uow.tasks.get_many(held)
        old = [t for t in tasks if t.started_at and (now - t.started_at).total_seconds() > 12]
        return await self._settle_all(old) + await genuine(self)

    genuine = Maintain._recover
    patch.setattr(Maintain, "_recover", recover)


@mistake
def an_evicted_worker_comes_back(patch: pytest.MonkeyPatch) -> None:
    """A worker that was evicted renews its lease as if nothing had been."""

    async def heartbeat(self: KeepWorkers, worker: Worker, held: Mapping[TaskId, int]) -> Heartbeat:
        now = self._clock.now()
        async with self._store.write() as uow:
            renewed = replace(worker, state=WorkerState.LIVE, lease_until=now + self._lease)
            await uow.workers.add(renewed)
            await uow.commit()
        return Heartbeat(renewed, frozenset())

    patch.setattr(KeepWorkers, "heartbeat", heartbeat)


@mistake
def strays_are_kept(patch: pytest.MonkeyPatch) -> None:
    """A claim whose answer was lost is nobody's business (this one was ours)."""

    async def heartbeat(self: KeepWorkers, worker: Worker, held: Mapping[TaskId, int]) -> Heartbeat:
        return replace(await genuine(self, worker, held), strays=())

    genuine = KeepWorkers.heartbeat
    patch.setattr(KeepWorkers, "heartbeat", heartbeat)


# --- submitting, claiming, dispatching ------------------------------------------------------------


@mistake
def keys_are_checked_before(patch: pytest.MonkeyPatch) -> None:
    """Whether a key is taken is looked up, and the insert does not look again."""

    async def add_many(self: MemoryTasks, tasks: Sequence[Task]) -> set[TaskId]:
        rows = self._access.change().tasks
        for task in tasks:
            rows.put(task.id, copy_of_task(task))
        return {task.id for task in tasks}

    patch.setattr(MemoryTasks, "add_many", add_many)


@mistake
def published_instead_of_stored(patch: pytest.MonkeyPatch) -> None:
    """A submit is answered before its commit, which may still fail."""

    async def one(self: SubmitTasks, submission: Any) -> Any:
        [task] = await self.prepare([submission])
        with suppress(Unavailable):
            return await self._together(task)
        return Submitted(task, created=True)

    patch.setattr(SubmitTasks, "one", one)


@mistake
def the_claim_ignores_the_pause(patch: pytest.MonkeyPatch) -> None:
    """A worker takes what it hears of, though the queue was paused meanwhile."""

    genuine = MemoryTasks.claim_many

    async def claim_many(
        self: MemoryTasks, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        with pytest.MonkeyPatch.context() as blind:
            blind.setattr(memory, "_paused_queues", lambda _: set())
            return await genuine(self, ids, claimant, now)

    patch.setattr(MemoryTasks, "claim_many", claim_many)


@mistake
def a_look_never_goes_back_to_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """After its first look into a queue a process misses what is due before what it found there."""
    genuine = _Bookmark.put

    def put(self: _Bookmark, *args: Any) -> None:
        self._ration._rests_until = float("inf")
        genuine(self, *args)

    patch.setattr(_Bookmark, "put", put)


@mistake
def a_retry_forgets_the_failures(patch: pytest.MonkeyPatch) -> None:
    """Each retry begins with the whole policy before it."""
    genuine = Task.fail

    def fail(self: Task, failure: Failure, now: datetime, chance: float) -> Task:
        failed = genuine(self, failure, now, chance)
        return replace(failed, failures=0) if failed.state is TaskState.QUEUED else failed

    patch.setattr(Task, "fail", fail)


@mistake
def attempts_end_without_a_record(patch: pytest.MonkeyPatch) -> None:
    """What a settlement writes of tasks, it does not write of their attempts."""

    async def within(self: SettleTasks, uow: Any, *args: Any) -> Settled:
        return await genuine(self, cast(Any, _Mute(uow)), *args)

    genuine = SettleTasks.within
    patch.setattr(SettleTasks, "within", within)


class _Mute:
    """A unit of work that forgets every other attempt."""

    def __init__(self, uow: Any) -> None:
        self.tasks, self.runs, self.workers, self.journal = uow.tasks, uow.runs, uow.workers, self
        self._journal = uow.journal

    async def add_attempts(self, attempts: Sequence[Any]) -> None:
        await self._journal.add_attempts(attempts[1:])


@mistake
def one_attempt_too_many(patch: pytest.MonkeyPatch) -> None:
    """The policy gives up after more attempts than it allows: > for >=."""
    genuine = RetryPolicy.decide

    def decide(self: RetryPolicy, failures: int, failure: Failure, chance: float) -> RetryDecision:
        return genuine(replace(self, attempts=self.attempts + 1), failures, failure, chance)

    patch.setattr(RetryPolicy, "decide", decide)


@mistake
def critical_is_no_priority(patch: pytest.MonkeyPatch) -> None:
    """The most urgent priority is 0, which is taken for none: `or` for `is None`."""
    genuine = SubmitTasks._task

    def task(
        self: SubmitTasks, submission: Submission, definition: TaskDefinition, now: datetime
    ) -> Task:
        submission = replace(submission, priority=submission.priority or None)
        return genuine(self, submission, definition, now)

    patch.setattr(SubmitTasks, "_task", task)


@mistake
def an_unknown_claim_is_run(patch: pytest.MonkeyPatch) -> None:
    """A claim whose commit was not answered is taken for made."""

    async def claim(self: ClaimTasks, worker: Worker, names: Any, hints: Hints) -> list[Task]:
        now = self._clock.now()
        claimant = Claimant(worker.id, worker.queues, names)
        async with self._store.write() as uow:
            claimed = await uow.tasks.claim_many(hints.tasks, claimant, now)
            if hints.from_store:
                for queue in worker.queues:
                    taken = await uow.tasks.claim_due(queue, claimant, now, hints.from_store)
                    claimed += taken.claimed
            with suppress(Unavailable):
                await uow.commit()
        return claimed

    patch.setattr(ClaimTasks, "_claim", claim)


@mistake
def a_backlog_is_begun_before_it_is_claimed(patch: pytest.MonkeyPatch) -> None:
    """What was found in the store is run although the transaction that claims it may fail."""
    genuine = ClaimTasks._unheard_of

    async def claim(self: ClaimTasks, hints: Hints, claimant: Claimant, now: datetime) -> Taken:
        found = Taken([])
        async with self._store.write() as uow:  # which is rolled back
            for queue in claimant.queues:
                taken = await uow.tasks.claim_due(queue, claimant, now, hints.from_store)
                found.claimed.extend(taken.claimed)
        with suppress(Unavailable):
            return await genuine(self, hints, claimant, now)
        return found

    patch.setattr(ClaimTasks, "_unheard_of", claim)


@mistake
def a_worker_that_found_much_never_rests(patch: pytest.MonkeyPatch) -> None:
    """A worker goes on looking into the store after the backlog has gone."""

    def note(self: Backlog, hints: Hints, claimed: Sequence[Task]) -> None:
        self.is_there = self.is_there or bool(claimed)

    patch.setattr(Backlog, "note_claimed", note)
