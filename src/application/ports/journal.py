"""The journal: what became of each attempt, and what handlers logged and reported."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cueline.domain.attempt import Attempt
from cueline.domain.identifiers import TaskId
from cueline.domain.json import Json


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line that a handler logged, or a step of progress that it reported (level `progress`)."""

    task_id: TaskId
    attempt: int
    at: datetime
    level: str
    message: str
    fields: Mapping[str, Json] = field(default_factory=dict)


class JournalRepository(Protocol):
    """What is remembered of tasks beyond their state: ended attempts, log lines, progress."""

    async def add_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Append attempts that ended without success."""
        ...

    async def attempts(self, task_id: TaskId) -> list[Attempt]:
        """The recorded attempts of a task, in order."""
        ...

    async def add_logs(self, entries: Sequence[LogEntry]) -> None:
        """Append log lines and progress."""
        ...

    async def logs(self, task_id: TaskId, after: int, limit: int) -> list[tuple[int, LogEntry]]:
        """Log lines of a task with their position, those beyond `after`, in order."""
        ...

    async def progress(self, task_ids: Collection[TaskId]) -> dict[TaskId, LogEntry]:
        """The latest progress of each task that has reported any."""
        ...
