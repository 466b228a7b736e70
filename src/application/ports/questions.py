"""What a store is asked for: which part of a listing, what is due, and by whom it is claimed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Self, TypeAlias

from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.task import Priority, Task, TaskState
from cueline.domain.workflow.run import RunState


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a listing is wanted: at most `limit` items, after the one named by `after`."""

    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a listing shows; what is empty or None does not restrict it.

    `scheduled` splits the queued tasks into those whose run time is ahead (True) and the rest.
    """

    states: tuple[TaskState, ...] = ()
    scheduled: bool | None = None
    queue: str | None = None
    name: str | None = None
    run_id: RunId | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a listing shows; what is empty or None does not restrict it."""

    states: tuple[RunState, ...] = ()
    workflow: str | None = None


Since: TypeAlias = Mapping[Priority, datetime]
"""For some priorities, the moment with which to begin."""

ANY_TIME: Since = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claimant:
    """A worker that claims: which queues it serves, and for which tasks it has handlers."""

    worker_id: WorkerId
    queues: Collection[str]
    names: Collection[str]

    def serves(self, task: Task) -> bool:
        """Whether the task is of one of its queues."""
        return task.spec.queue in self.queues

    def handles(self, task: Task) -> bool:
        """Whether it has a handler for the task."""
        return task.spec.name in self.names


@dataclass(frozen=True, slots=True)
class DueTask:
    """A queued task whose time to be handed to the broker has come."""

    id: TaskId
    queue: str
    priority: Priority
    dispatch_at: datetime
    dispatches: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claimant got of what was due.

    `passed_over` is what it has no handler for; `found`, how many were found in all; `earliest`,
    since when the longest due was due that it claimed, by priority. If nothing was claimed, nothing
    else is said: the claimant may not be live.
    """

    claimed: list[Task]
    passed_over: frozenset[TaskId] = frozenset()
    found: int = 0
    earliest: Since = field(default_factory=dict)

    @classmethod
    def of(cls, claimed: list[Task], due: Sequence[DueTask]) -> Self:
        """What was claimed of what was due."""
        if not claimed:
            return cls([])
        ids = {task.id for task in claimed}
        left = frozenset(each.id for each in due if each.id not in ids)
        return cls(claimed, left, len(due), earliest(each for each in due if each.id in ids))


def earliest(due: Iterable[DueTask]) -> Since:
    """When the longest due of each priority was due."""
    found: dict[Priority, datetime] = {}
    for each in due:
        found[each.priority] = min(each.dispatch_at, found.get(each.priority, each.dispatch_at))
    return found
