"""Ended attempts, log lines and progress in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

from cueline.application.ports.journal import JournalRepository, LogEntry
from cueline.domain.attempt import Attempt
from cueline.domain.identifiers import TaskId
from cueline.infrastructure.memory.copying import copy_of_attempt, copy_of_log
from cueline.infrastructure.memory.tables import (
    ATTEMPTS_BY_TASK,
    LOGS_BY_TASK,
    PROGRESS_BY_TASK,
    Access,
)


class MemoryJournal(JournalRepository):
    """What is remembered of tasks beyond their state."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add_attempts(self, attempts: Sequence[Attempt]) -> None:
        rows = self._access.change().attempts
        for attempt in attempts:
            key = (attempt.task_id, attempt.number)
            if rows.get(key) is not None:
                raise RuntimeError(
                    f"attempt {attempt.number} of {attempt.task_id} has ended already"
                )
            rows.put(key, copy_of_attempt(attempt))

    async def attempts(self, task_id: TaskId) -> list[Attempt]:
        return list(self._access.look().attempts.ascending(ATTEMPTS_BY_TASK, task_id))

    async def add_logs(self, entries: Sequence[LogEntry]) -> None:
        views = self._access.change()
        for entry in entries:
            position = next(views.serials)
            views.logs.put(position, (position, copy_of_log(entry)))

    async def logs(self, task_id: TaskId, after: int, limit: int) -> list[tuple[int, LogEntry]]:
        found = self._access.look().logs.ascending(LOGS_BY_TASK, task_id, (after + 1,))
        return [(position, copy_of_log(entry)) for position, entry in islice(found, limit)]

    async def progress(self, task_ids: Collection[TaskId]) -> dict[TaskId, LogEntry]:
        rows = self._access.look().logs
        return {
            id: copy_of_log(entry)
            for id in task_ids
            for _, entry in islice(rows.descending(PROGRESS_BY_TASK, [id]), 1)
        }
