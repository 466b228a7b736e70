"""The database: a memory store whose writers run side by side, and which is watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from cueline.application.ports.persistence import UnitOfWork
from cueline.domain.attempt import Attempt
from cueline.domain.events import Event
from cueline.domain.queue import Queue
from cueline.domain.task import Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import Run
from cueline.infrastructure.memory.store import MemoryStore
from cueline.infrastructure.memory.tables import Tables, Views
from tests.simulation.clocks import TrueClock
from tests.simulation.locks import Locks

V = TypeVar("V")


class Isolation(Enum):
    """How writers are kept apart."""

    ONE_WRITER = "one writer"  # as SQLite and the memory store do
    READ_COMMITTED = "read committed"  # as PostgreSQL does, and the least that the port promises


@dataclass(frozen=True, slots=True)
class Change(Generic[V]):
    """A row before a commit (None: there was none) and after it."""

    before: V | None
    after: V


@dataclass(frozen=True, slots=True)
class Commit:
    """What a transaction changed, when, and the whole state after it.

    `clock_error` is how wrong any host's clock has been so far.
    """

    at: datetime
    isolation: Isolation
    clock_error: timedelta
    tasks: Sequence[Change[Task]]
    runs: Sequence[Change[Run]]
    workers: Sequence[Change[Worker]]
    attempts: Sequence[Attempt]
    history: Sequence[Event]
    queues_before: Mapping[str, Queue]
    state: Tables


class Database(MemoryStore):
    """Keeps what the memory store keeps. Each commit is shown to those who watch.

    A unit of work of its own sees the newest committed rows at every statement; what keeps writers
    apart are the locks, which the connections take.
    """

    def __init__(self, clock: TrueClock, isolation: Isolation) -> None:
        super().__init__()
        self._writing = _OpenDoor()
        self._clock = clock
        self.isolation = isolation
        self.locks = Locks()
        self.clock_error = timedelta(0)
        self.watchers: list[Callable[[Commit], None]] = []
        self.commits = 0
        self.outdated = 0

    @property
    def tables(self) -> Tables:
        """The committed state, to look at."""
        return self._tables

    def begin(self, *, writable: bool) -> UnitOfWork:
        """A bare transaction."""
        if writable or self.isolation is Isolation.READ_COMMITTED:
            return super().write()
        return super().read()

    def _apply(self, views: Views) -> None:
        tables = self._tables
        commit = Commit(
            at=self._clock.now(),
            isolation=self.isolation,
            clock_error=self.clock_error,
            tasks=_changes(views.tasks, tables.tasks.rows),
            runs=_changes(views.runs, tables.runs.rows),
            workers=_changes(views.workers, tables.workers.rows),
            attempts=[row for _, row in views.attempts.changes()],
            history=[row for _, row in views.history.changes()],
            queues_before=dict(tables.queues.rows),
            state=tables,
        )
        super()._apply(views)
        self.commits += 1
        for watcher in self.watchers:
            watcher(commit)


def _changes(view: Any, rows: Mapping[Any, V]) -> list[Change[V]]:
    return [Change(rows.get(key), row) for key, row in view.changes()]


class _OpenDoor(asyncio.Lock):
    """Stands where the memory store lets in one writer at a time: here the locks do that."""

    async def acquire(self) -> Literal[True]:
        return True

    def release(self) -> None:
        """Nothing was taken."""
