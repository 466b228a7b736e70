"""A worker and its lease.

The lease belongs to the worker, not to each task: one row is renewed every few seconds however many
tasks the worker holds. When the lease has lapsed, anyone may evict the worker; its tasks then go to
others, under new versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from cueline.domain.errors import IllegalTransition, WorkerEvicted
from cueline.domain.identifiers import WorkerId
from cueline.domain.text import storable

LEASE = timedelta(seconds=15)
"""How long a worker may be silent before its tasks are taken from it."""

BEATS_PER_LEASE = 5
"""How often a lease is renewed before it would lapse, so that a few lost beats do no harm."""


class WorkerState(StrEnum):
    """Where a worker stands. Only a live one may hold tasks."""

    LIVE = "live"
    STOPPED = "stopped"
    LOST = "lost"


class WorkerEvent(StrEnum):
    """What can happen to a worker."""

    RENEW = "renew"
    STOP = "stop"
    EVICT = "evict"


WORKER_TRANSITIONS: Mapping[WorkerState, Mapping[WorkerEvent, WorkerState]] = MappingProxyType(
    {
        WorkerState.LIVE: {
            WorkerEvent.RENEW: WorkerState.LIVE,
            WorkerEvent.STOP: WorkerState.STOPPED,
            WorkerEvent.EVICT: WorkerState.LOST,
        },
        WorkerState.STOPPED: {},
        WorkerState.LOST: {},
    }
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that runs tasks: from which queues, how many at once, until when it is trusted."""

    id: WorkerId
    name: str
    queues: tuple[str, ...]
    slots: int
    started_at: datetime
    lease_until: datetime
    state: WorkerState = WorkerState.LIVE

    @classmethod
    def registered(
        cls,
        id: WorkerId,
        name: str,
        queues: tuple[str, ...],
        slots: int,
        now: datetime,
        lease: timedelta = LEASE,
    ) -> Worker:
        """A new worker whose lease begins now."""
        return cls(id, storable(name), queues, slots, started_at=now, lease_until=now + lease)

    def has_lapsed(self, now: datetime) -> bool:
        """Whether the worker is still counted as live but has not renewed in time."""
        return self.state is WorkerState.LIVE and self.lease_until <= now

    def renew(self, now: datetime, lease: timedelta = LEASE) -> Worker:
        """Extend the lease. A worker that was evicted meanwhile is told so by `WorkerEvicted`.

        A lease that lapsed unnoticed may still be renewed: nobody has touched the worker's tasks.
        """
        if self.state is WorkerState.LOST:
            raise WorkerEvicted(self.id)
        return replace(self, state=self._after(WorkerEvent.RENEW), lease_until=now + lease)

    def stop(self) -> Worker:
        """The worker says goodbye, holding nothing."""
        return replace(self, state=self._after(WorkerEvent.STOP))

    def evict(self, now: datetime) -> Worker:
        """Take the worker's tasks from it. Only for one whose lease has lapsed."""
        if not self.has_lapsed(now):
            raise IllegalTransition("worker", self.id, self.state, WorkerEvent.EVICT)
        return replace(self, state=self._after(WorkerEvent.EVICT))

    def _after(self, event: WorkerEvent) -> WorkerState:
        try:
            return WORKER_TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalTransition("worker", self.id, self.state, event) from None
