"""What a worker asks of the service: to be registered, to stay trusted, and to keep its log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cueline.application.changes import Announcer, Changes
from cueline.application.dispatch import Outlet
from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock, IdGenerator
from cueline.domain.errors import WorkerEvicted
from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.task import Task
from cueline.domain.worker import LEASE, Worker, WorkerState

log = logging.getLogger(__name__)


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
            if known is None or not is_live(known):
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


def is_live(worker: Worker | None) -> bool:
    """Whether a worker is there, and has not been evicted or stopped."""
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
