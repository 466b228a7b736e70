"""What a store is asked for: which part of a listing, what is due, and by whom it is claimed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

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

    `due` is all that was found, the most urgent first. What of it was not claimed the claimant has
    no handler for, unless it is not live.
    """

    claimed: list[Task]
    due: list[DueTask]

    @property
    def passed_over(self) -> list[DueTask]:
        """What was found and not claimed."""
        claimed = {task.id for task in self.claimed}
        return [each for each in self.due if each.id not in claimed]
