"""Ended attempts, log lines and progress, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import func, select

from cueline.application.ports.journal import JournalRepository, LogEntry
from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.batches import InsertBatch, OnConflict
from cueline.infrastructure.sql.session import AnyRow, Session, chunks
from cueline.infrastructure.sql.tables import attempts, logs
from cueline.infrastructure.sql.types import count_of, to_microseconds

PROGRESS = "progress"

_ADD_ATTEMPTS = InsertBatch(
    attempts,
    ("task_id", "number", "worker_id", "started_at", "ended_at", "outcome", "failure"),
    key="task_id",
    on_conflict=OnConflict.FAIL,
)
_ADD_LOGS = InsertBatch(
    logs,
    ("task_id", "attempt", "at", "level", "message", "fields"),
    key="task_id",
    on_conflict=OnConflict.FAIL,
)


class SqlJournal(JournalRepository):
    """Append-only tables."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add_attempts(self, ended: Sequence[Attempt]) -> None:
        if ended:
            await self._session.write_many(
                _ADD_ATTEMPTS,
                [
                    (
                        attempt.task_id,
                        attempt.number,
                        attempt.worker_id,
                        to_microseconds(attempt.started_at),
                        count_of(attempt.ended_at),
                        attempt.outcome.value,
                        None
                        if attempt.failure is None
                        else rows.json_text(rows.failure_document(attempt.failure)),
                    )
                    for attempt in ended
                ],
            )

    async def attempts(self, task_id: TaskId) -> list[Attempt]:
        result = await self._session.execute(
            select(attempts).where(attempts.c.task_id == task_id).order_by(attempts.c.number)
        )
        return [
            Attempt(
                task_id=TaskId(row.task_id),
                number=row.number,
                worker_id=WorkerId(row.worker_id),
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=AttemptOutcome(row.outcome),
                failure=rows.failure(row.failure),
            )
            for row in result
        ]

    async def add_logs(self, entries: Sequence[LogEntry]) -> None:
        if entries:
            await self._session.write_many(
                _ADD_LOGS,
                [
                    (
                        entry.task_id,
                        entry.attempt,
                        to_microseconds(entry.at),
                        entry.level,
                        entry.message,
                        rows.json_text(entry.fields),
                    )
                    for entry in entries
                ],
            )

    async def logs(self, task_id: TaskId, after: int, limit: int) -> list[tuple[int, LogEntry]]:
        result = await self._session.execute(
            select(logs)
            .where(logs.c.task_id == task_id, logs.c.position > after)
            .order_by(logs.c.position)
            .limit(limit)
        )
        return [(row.position, _entry(row)) for row in result]

    async def progress(self, task_ids: Collection[TaskId]) -> dict[TaskId, LogEntry]:
        found: dict[TaskId, LogEntry] = {}
        for chunk in chunks(list(task_ids)):
            latest = (
                select(func.max(logs.c.position))
                .where(logs.c.task_id.in_(chunk), logs.c.level == PROGRESS)
                .group_by(logs.c.task_id)
            )
            result = await self._session.execute(select(logs).where(logs.c.position.in_(latest)))
            found.update((TaskId(row.task_id), _entry(row)) for row in result)
        return found


def _entry(row: AnyRow) -> LogEntry:
    return LogEntry(TaskId(row.task_id), row.attempt, row.at, row.level, row.message, row.fields)
