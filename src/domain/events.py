"""Facts about what happened, as the history of a run keeps them and the event bus spreads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cueline.domain.json import Json
from cueline.domain.task import Task


class Subject(StrEnum):
    """What an event is about."""

    TASK = "task"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a task or a run.

    `sequence` rises within a subject: the version of a task, the position in a run's history. It is
    0 for what has no place in the order of states (progress, logs).
    """

    subject: Subject
    id: str
    sequence: int
    type: str
    at: datetime
    data: Mapping[str, Json] = field(default_factory=dict)


def task_changed(task: Task, now: datetime) -> Event:
    """The event that a task has come to its present state."""
    data: dict[str, Json] = {"state": task.state.value, "attempt": task.attempt}
    if task.failure is not None:
        data["error"] = task.failure.summary
    return Event(Subject.TASK, task.id, task.version, "status", now, data)
