"""What a worker asks of the service: to be registered, tasks to do, and to stay trusted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cueline.application.bookmarks import Bookmarks
from cueline.application.changes import Announcer, Changes
from cueline.application.dispatch import Outlet
from cueline.application.due import most_urgent, put_off
from cueline.application.intake import Hints, Intake
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.persistence import LogEntry, Store, TaskRepository, UnitOfWork
from cueline.application.ports.runtime import Clock, IdGenerator
from cueline.application.sparing import SparingWarning
from cueline.domain.errors import WorkerEvicted
from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.task import Task
from cueline.domain.worker import LEASE, Worker, WorkerState

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

        So a claim never waits for another's transaction, and cannot be part of a circle.
        """
        now = self._clock.now()
        is_one_call = not hints.from_store
        async with self._store.at_once() if is_one_call else self._store.write() as uow:
            due = await self._due(uow.tasks, worker, hints, now)
            found = await uow.tasks.get_many(hints.tasks) if hints.tasks else []
            hinted = self._believed(worker, found)
            wanted = {
                task.id: task.claim(worker.id, now)
                for task in (*hinted, *due)
                if task.is_ready(now) and self._knows(task, names)
            }
            await put_off(uow.tasks, [task for task in due if task.id not in wanted], now)
            refused = await uow.tasks.claim_many(list(wanted.values()))
            if refused:
                await self._learn_why(uow, worker, [wanted[id] for id in refused], now)
            await uow.commit()
        self._refuse("unknown", len(hints.tasks) - len(found))
        claimed = [task for task in wanted.values() if task.id not in refused]
        claimed.sort(key=lambda task: (task.spec.priority, task.spec.id))
        self._metrics.taken_from_store(sum(task.id not in hints.tasks for task in claimed))
        return claimed

    @staticmethod
    async def _learn_why(
        uow: UnitOfWork, worker: Worker, refused: Sequence[Task], now: datetime
    ) -> None:
        """Raise if the worker was evicted. Else have due what still waits: a pause may end."""
        if not _is_live(await uow.workers.get(worker.id)):
            raise WorkerEvicted(worker.id)
        await uow.tasks.set_due([task.id for task in refused], now)

    async def _due(
        self, tasks: TaskRepository, worker: Worker, hints: Hints, now: datetime
    ) -> list[Task]:
        """What the worker takes without a hint, beginning with another queue each time."""
        queues, limit = list(worker.queues), hints.from_store
        if not limit:
            return []
        if len(queues) == 1:  # else much would be fetched that another queue's tasks come before
            found = await self._bookmarks.claimable(tasks, queues[0], now, limit)
            return [task for task in found if task.spec.priority <= hints.urgency]
        first = self._turn % len(queues)
        self._turn += 1
        turns = queues[first:] + queues[:first]
        lines = [await self._bookmarks.due(tasks, queue, now, limit) for queue in turns]
        due = most_urgent(lines)[:limit]
        return await tasks.get_many([each.id for each in due if each.priority <= hints.urgency])

    def _believed(self, worker: Worker, found: Sequence[Task]) -> list[Task]:
        """The tasks that this worker may have been told of, by what the store says of them."""
        served = [task for task in found if task.spec.queue in worker.queues]
        self._refuse("misdirected", len(found) - len(served))
        return served

    def _refuse(self, reason: str, count: int) -> None:
        """Note hints that nobody gives: of tasks that do not exist, or of others' queues.

        Such a message is forged, or older than what is kept.
        """
        if count:
            self._refused[reason].count(count)
            self._metrics.hints_refused(reason, count)

    def _knows(self, task: Task, names: Collection[str]) -> bool:
        if task.spec.name in names:
            return True
        self._unhandled.count(why=f"such as {task.spec.name} {task.id}")
        return False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The answer to a heartbeat: the worker with its lease extended, and where the store differs.

    `revoked` are tasks that the worker has lost; `strays`, tasks that it holds without knowing: the
    answer to a claim may get lost on its way. Nobody else would ever take those from it.
    """

    worker: Worker
    revoked: frozenset[TaskId]
    strays: tuple[Task, ...] = ()


class KeepWorkers:
    """Registers workers, renews their leases, and takes their goodbye."""

    def __init__(
        self,
        store: Store,
        outlet: Outlet,
        clock: Clock,
        ids: IdGenerator,
        lease: timedelta = LEASE,
    ) -> None:
        self._store = store
        self._outlet = outlet
        self._clock = clock
        self._ids = ids
        self._lease = lease

    @property
    def lease(self) -> timedelta:
        """How long a lease lasts without a heartbeat."""
        return self._lease

    async def register(self, name: str, queues: Sequence[str], slots: int) -> Worker:
        """Register a worker that serves these queues with so many tasks at once."""
        worker = Worker.registered(
            WorkerId(self._ids.new()), name, tuple(queues), slots, self._clock.now(), self._lease
        )
        async with self._store.write() as uow:
            await uow.workers.add(worker)
            await uow.commit()
        await self._outlet.look(worker.queues)
        self._outlet.backlog.ring()
        return worker

    async def heartbeat(self, worker: Worker, held: Mapping[TaskId, int]) -> Heartbeat:
        """Renew the lease of a worker and compare what it holds with what the store says it does.

        `held` maps tasks to the version under which they were claimed. Raises `WorkerEvicted` when
        the worker is no longer live: everything it holds has gone to others.
        """
        now = self._clock.now()
        async with self._store.write(durable=False) as uow:
            known = await uow.workers.get(worker.id)
            if known is None or not _is_live(known):
                raise WorkerEvicted(worker.id)
            renewed = known.renew(now, self._lease)
            if not await uow.workers.save(renewed, known.lease_until):
                raise WorkerEvicted(worker.id)
            present = await uow.tasks.held_by(worker.id)
            unknown = present.keys() - held.keys()
            strays = await uow.tasks.get_many(unknown) if unknown else []
            await uow.commit()
        await self._outlet.look(worker.queues)
        lost = {id for id, version in held.items() if present.get(id) != version}
        return Heartbeat(renewed, frozenset(lost), tuple(strays))

    async def goodbye(self, worker: Worker) -> None:
        """Note that a worker has stopped, holding nothing. One that was evicted may say so too."""
        async with self._store.write() as uow:
            known = await uow.workers.get(worker.id)
            if known is not None and known.state is WorkerState.LIVE:
                await uow.workers.save(known.stop(), known.lease_until)
                await uow.commit()


def _is_live(worker: Worker | None) -> bool:
    return worker is not None and worker.state is WorkerState.LIVE


class RecordLogs:
    """Writes what handlers log and report as progress, in batches, and shows it to watchers."""

    def __init__(self, store: Store, announcer: Announcer) -> None:
        self._store = store
        self._announcer = announcer

    async def __call__(self, entries: Sequence[LogEntry]) -> None:
        """Append entries to the journal and spread them."""
        if not entries:
            return
        async with self._store.write() as uow:
            await uow.journal.add_logs(entries)
            await uow.commit()
        await self.show(entries)

    async def show(self, entries: Sequence[LogEntry]) -> None:
        """Spread entries that are already in the journal."""
        events = [
            Event(
                Subject.TASK,
                entry.task_id,
                0,
                "progress" if entry.level == "progress" else "log",
                entry.at,
                {"level": entry.level, "message": entry.message, **entry.fields},
            )
            for entry in entries
        ]
        await self._announcer.announce(Changes(facts=events))
