"""An attempt: one call of a task's handler, as the history keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.task import Task, TaskState


class AttemptOutcome(StrEnum):
    """How an attempt ended, or that it has not."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SNOOZED = "snoozed"
    RELEASED = "released"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a handler: which, by whom, when, and how it ended.

    The attempts that did not succeed are kept as records of their own, because the task goes on and
    forgets them. The one that runs or succeeded needs no record: it is the task itself.
    """

    task_id: TaskId
    number: int
    worker_id: WorkerId
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome
    failure: Failure | None = None

    @classmethod
    def current(cls, task: Task) -> Attempt | None:
        """The attempt that the task itself holds: the running one, or the one that succeeded."""
        if task.state not in (TaskState.RUNNING, TaskState.SUCCEEDED):
            return None
        if task.worker_id is None or task.started_at is None:
            return None
        outcome = AttemptOutcome(task.state.value)
        return cls(task.id, task.attempt, task.worker_id, task.started_at, task.ended_at, outcome)

    @classmethod
    def closed(
        cls, before: Task, outcome: AttemptOutcome, failure: Failure | None, now: datetime
    ) -> Attempt | None:
        """The record of the attempt that a running task just ended without success."""
        if before.worker_id is None or before.started_at is None:
            return None
        return cls(
            before.id, before.attempt, before.worker_id, before.started_at, now, outcome, failure
        )
