"""Claiming: how tasks become a worker's own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

from cueline.application.bookmarks import Bookmarks
from cueline.application.changes import Announcer, Changes
from cueline.application.due import most_urgent, put_off
from cueline.application.hints import Hints
from cueline.application.intake import Intake
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.questions import Claimant, Taken
from cueline.application.ports.runtime import Clock
from cueline.application.recent_runs import RecentRuns
from cueline.application.sparing import SparingWarning
from cueline.application.workers import is_live
from cueline.domain.errors import Unavailable, WorkerEvicted
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task
from cueline.domain.worker import Worker

log = logging.getLogger(__name__)


class ClaimTasks:
    """Claims the tasks that a worker hears of, in one batch."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        bookmarks: Bookmarks,
        announcer: Announcer,
        clock: Clock,
        metrics: Metrics,
        *,
        recent: RecentRuns,
    ) -> None:
        self._store = store
        self._intake = intake
        self._bookmarks = bookmarks
        self._announcer = announcer
        self._clock = clock
        self._metrics = metrics
        self._recent = recent
        self._refused = {
            "unknown": SparingWarning(log, "messages refused that name no task"),
            "misdirected": SparingWarning(log, "messages refused that name a task of other queues"),
        }
        self._turn = 0
        self._unhandled = SparingWarning(log, "tasks left alone that have no handler here")

    async def __call__(
        self, worker: Worker, names: Collection[str], limit: int, wait: float
    ) -> list[Task]:
        """Claim up to `limit` tasks, waiting up to `wait` seconds for the first hint."""
        hints = await self.receive(worker, limit, wait)
        claimed = await self.take(worker, names, hints)
        await self.acknowledge(hints)
        return claimed

    async def receive(self, worker: Worker, limit: int, wait: float) -> Hints:
        """Wait for hints. It may be cancelled at any time: a hint that is lost comes again."""
        return await self._intake.receive(worker, limit, wait)

    async def take(self, worker: Worker, names: Collection[str], hints: Hints) -> list[Task]:
        """Claim the tasks that were hinted at. Do not cancel it: what it claimed must be run.

        `names` are the tasks for which the worker has a handler; others are left alone.
        """
        claimed: list[Task] = []
        try:
            if not hints.lead_nowhere:
                claimed = await self._claim(worker, names, hints)
        finally:
            self._intake.note(hints, claimed)
        await self._announcer.announce(Changes(moved=claimed))
        return claimed

    async def acknowledge(self, hints: Hints) -> None:
        """Take messages off the broker, right after the claim and however long the tasks then run.

        A hint that led to no claim is acknowledged just the same: if there is still something to
        do, the store will bring it up again.
        """
        await self._intake.acknowledge(hints)

    async def _claim(self, worker: Worker, names: Collection[str], hints: Hints) -> list[Task]:
        """Claim what nobody else is changing: whoever is, ends it, or sees to a new message.

        So a claim never waits for another's transaction, and cannot be part of a circle. What was
        claimed is run, whatever becomes of the rest; unless the worker was evicted.
        """
        now = self._clock.now()
        claimant = Claimant(worker.id, worker.queues, names)
        claimed: list[Task] = []
        passed_over: frozenset[TaskId] = frozenset()
        try:
            if hints.tasks:
                claimed += await self._hinted(hints.tasks, claimant, now)
            if hints.from_store:
                taken = await self._unheard_of(hints, claimant, now)
                claimed += taken.claimed
                passed_over = taken.passed_over
            left = hints.tasks.difference(task.id for task in claimed)
            if left or passed_over or not claimed:
                await self._see_to(left, passed_over, claimant, now)
            if hints.from_store and not claimed:
                await self._look_behind(claimant, hints.from_store, now)
        except Unavailable as error:
            if not claimed:
                raise
            log.info("%s; the %d tasks that were claimed before are run", error, len(claimed))
        claimed.sort(key=lambda task: (task.spec.priority, task.spec.id))
        self._metrics.taken_from_store(len(hints.unheard_of(claimed)))
        return claimed

    async def _hinted(
        self, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        async with self._store.at_once() as uow:
            claimed = await uow.tasks.claim_many(ids, claimant, now)
            await self._commit(uow, claimed)
        return claimed

    async def _unheard_of(self, hints: Hints, claimant: Claimant, now: datetime) -> Taken:
        """Claim what is due without a hint."""
        if len(claimant.queues) > 1:
            return await self._most_urgent(hints, claimant, now)
        [queue] = claimant.queues
        async with self._store.at_once() as uow:
            taken = await self._bookmarks.claim_due(
                uow.tasks, queue, claimant, now, hints.from_store, hints.urgency
            )
            await self._commit(uow, taken.claimed)
        return taken

    async def _most_urgent(self, hints: Hints, claimant: Claimant, now: datetime) -> Taken:
        """Claim the most urgent of several queues, beginning with another queue each time."""
        queues = list(claimant.queues)
        first = self._turn % len(queues)
        self._turn += 1
        async with self._store.write() as uow:
            lines = [
                await self._bookmarks.due(uow.tasks, queue, now, hints.from_store)
                for queue in queues[first:] + queues[:first]
            ]
            found = most_urgent(lines)[: hints.from_store]
            due = [each for each in found if each.priority <= hints.urgency]
            claimed = await uow.tasks.claim_many([each.id for each in due], claimant, now)
            await self._commit(uow, claimed)
        return Taken.of(claimed, due)

    async def _commit(self, uow: UnitOfWork, claimed: Sequence[Task]) -> None:
        """Commit, and remember the runs whose next step is settled here."""
        runs = await uow.runs.of_claimed(claimed)
        await uow.commit()
        self._recent.note(runs, claimed)

    async def _see_to(
        self,
        hinted: Collection[TaskId],
        passed_over: Collection[TaskId],
        claimant: Claimant,
        now: datetime,
    ) -> None:
        """See to what was not claimed. Raise if the worker was evicted.

        Hints are of no use that name no task, or one of other queues: such a message is forged, or
        older than what is kept. What still waits is made due, as a pause may end. What has no
        handler here is put off, lest it stand in the way of the rest.
        """
        async with self._store.read() as uow:
            found = await uow.tasks.get_many(hinted)
            strange = await uow.tasks.get_many(passed_over)
            worker = await uow.workers.get(claimant.worker_id)
        if not is_live(worker):
            raise WorkerEvicted(claimant.worker_id)
        served = [task for task in found if claimant.serves(task)]
        waiting = [task for task in served if task.is_ready(now) and self._handles(claimant, task)]
        unhandled = [task for task in strange if not self._handles(claimant, task)]
        if waiting or unhandled:
            async with self._store.write(durable=False) as uow:
                await put_off(uow.tasks, unhandled, now)
                await uow.tasks.set_due([task.id for task in waiting], now)
                await uow.commit()
        self._refuse("unknown", len(hinted) - len(found))
        self._refuse("misdirected", len(found) - len(served))

    async def _look_behind(self, claimant: Claimant, limit: int, now: datetime) -> None:
        """Put off what has no handler here and hides what is due behind it."""
        async with self._store.write(durable=False) as uow:
            for queue in claimant.queues:
                due = await self._bookmarks.due(uow.tasks, queue, now, limit)
                found = await uow.tasks.get_many([each.id for each in due])
                unhandled = [task for task in found if not self._handles(claimant, task)]
                await put_off(uow.tasks, unhandled, now)
            await uow.commit()

    def _refuse(self, reason: str, count: int) -> None:
        if count:
            self._refused[reason].count(count)
            self._metrics.hints_refused(reason, count)

    def _handles(self, claimant: Claimant, task: Task) -> bool:
        if claimant.handles(task):
            return True
        self._unhandled.count(why=f"such as {task.spec.name} {task.id}")
        return False
