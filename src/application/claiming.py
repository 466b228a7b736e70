"""Claiming: how tasks become a worker's own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

from cueline.application.bookmarks import Bookmarks
from cueline.application.changes import Announcer, Changes
from cueline.application.due import most_urgent, put_off
from cueline.application.intake import Hints, Intake
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.questions import Claimant, DueTask
from cueline.application.ports.runtime import Clock
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
    ) -> None:
        self._store = store
        self._intake = intake
        self._bookmarks = bookmarks
        self._announcer = announcer
        self._clock = clock
        self._metrics = metrics
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

        So a claim never waits for another's transaction, and cannot be part of a circle. Each part
        is one statement, which is kept whatever becomes of the next.
        """
        now = self._clock.now()
        claimant = Claimant(worker.id, worker.queues, names)
        claimed: list[Task] = []
        try:
            if hints.tasks:
                claimed += await self._hinted(hints.tasks, claimant, now)
            if hints.from_store:
                claimed += await self._unheard_of(hints, claimant, now)
            left = hints.tasks.difference(task.id for task in claimed)
            if left or not claimed:
                await self._learn_why(left, 0 if claimed else hints.from_store, claimant, now)
        except (Unavailable, WorkerEvicted) as error:
            if not claimed:
                raise
            log.info("%s; the %d tasks that were claimed before are run", error, len(claimed))
        claimed.sort(key=lambda task: (task.spec.priority, task.spec.id))
        self._metrics.taken_from_store(sum(task.id not in hints.tasks for task in claimed))
        return claimed

    async def _hinted(
        self, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        async with self._store.at_once() as uow:
            claimed = await uow.tasks.claim_many(ids, claimant, now)
            await uow.commit()
        return claimed

    async def _unheard_of(self, hints: Hints, claimant: Claimant, now: datetime) -> list[Task]:
        """Claim what is due without a hint."""
        if len(claimant.queues) > 1:
            return await self._most_urgent(hints, claimant, now)
        [queue] = claimant.queues
        async with self._store.at_once() as uow:
            claimed = await self._bookmarks.claim_due(
                uow.tasks, queue, claimant, now, hints.from_store, hints.urgency
            )
            await uow.commit()
        return claimed

    async def _most_urgent(self, hints: Hints, claimant: Claimant, now: datetime) -> list[Task]:
        """Claim the most urgent of several queues, beginning with another queue each time."""
        queues = list(claimant.queues)
        first = self._turn % len(queues)
        self._turn += 1
        async with self._store.write() as uow:
            lines = [
                await self._bookmarks.due(uow.tasks, queue, now, hints.from_store)
                for queue in queues[first:] + queues[:first]
            ]
            due = most_urgent(lines)[: hints.from_store]
            wanted = {each.id for each in due if each.priority <= hints.urgency}
            claimed = await uow.tasks.claim_many(wanted, claimant, now)
            if left := wanted.difference(task.id for task in claimed):
                await self._put_off_what_is_unhandled(uow, left, claimant, now)
            await uow.commit()
        return claimed

    async def _learn_why(
        self, hinted: Collection[TaskId], from_store: int, claimant: Claimant, now: datetime
    ) -> None:
        """See to what was not claimed, if anything was left. Raise if the worker was evicted.

        Hints are of no use that name no task, or one of other queues: such a message is forged, or
        older than what is kept. What still waits is made due, as a pause may end. What has no
        handler here is put off, lest it stand in the way of the rest.
        """
        async with self._store.write(durable=False) as uow:
            found = await uow.tasks.get_many(hinted)
            served = [task for task in found if claimant.serves(task)]
            waiting = {
                task.id for task in served if task.is_ready(now) and self._handles(claimant, task)
            }
            due = {
                each.id
                for queue in claimant.queues
                for each in await self._due(uow, queue, now, from_store)
            }
            if (waiting or due) and not is_live(await uow.workers.get(claimant.worker_id)):
                raise WorkerEvicted(claimant.worker_id)
            await self._put_off_what_is_unhandled(uow, due, claimant, now)
            await uow.tasks.set_due(waiting, now)
            await uow.commit()
        self._refuse("unknown", len(hinted) - len(found))
        self._refuse("misdirected", len(found) - len(served))

    async def _due(
        self, uow: UnitOfWork, queue: str, now: datetime, limit: int
    ) -> Sequence[DueTask]:
        return await self._bookmarks.due(uow.tasks, queue, now, limit) if limit else ()

    async def _put_off_what_is_unhandled(
        self, uow: UnitOfWork, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> None:
        found = await uow.tasks.get_many(ids)
        await put_off(uow.tasks, [task for task in found if not self._handles(claimant, task)], now)

    def _refuse(self, reason: str, count: int) -> None:
        if count:
            self._refused[reason].count(count)
            self._metrics.hints_refused(reason, count)

    def _handles(self, claimant: Claimant, task: Task) -> bool:
        if claimant.handles(task):
            return True
        self._unhandled.count(why=f"such as {task.spec.name} {task.id}")
        return False
