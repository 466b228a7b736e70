"""Tasks, their attempts and their logs as documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from typing_extensions import TypedDict

from cueline.application.ports.journal import LogEntry
from cueline.application.queries import TaskDetail
from cueline.domain.attempt import Attempt
from cueline.interfaces.documents.parts import (
    ErrorDocument,
    ProgressDocument,
    RetryDocument,
    error_document,
    progress_document,
    shown_retry,
)
from cueline.interfaces.documents.states import SCHEDULED


class OriginDocument(TypedDict):
    """The step of a run for which a task works."""

    id: str
    step: str
    purpose: str


class TaskDocument(TypedDict):
    """A task and where it stands."""

    id: str
    name: str
    queue: str
    priority: str
    state: str
    input: dict[str, Any]
    output: Any
    error: ErrorDocument | None
    attempt: int
    failures: int
    attempts_allowed: int
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    worker_id: str | None
    key: str | None
    tags: list[str]
    timeout: float | None
    retry: RetryDocument
    run: OriginDocument | None
    progress: ProgressDocument | None
    version: int


class AttemptDocument(TypedDict):
    """One call of a task's handler."""

    number: int
    worker_id: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    error: ErrorDocument | None


class LogDocument(TypedDict):
    """A line that a handler logged, or a step of progress that it reported (level `progress`)."""

    position: int
    attempt: int
    at: datetime
    level: str
    message: str
    fields: dict[str, Any]


def task_document(detail: TaskDetail) -> TaskDocument:
    """Show a task."""
    task, spec, origin = detail.task, detail.task.spec, detail.task.spec.origin
    return {
        "id": task.id,
        "name": spec.name,
        "queue": spec.queue,
        "priority": spec.priority.label,
        "state": SCHEDULED if detail.scheduled else task.state.value,
        "input": dict(spec.input),
        "output": task.output,
        "error": error_document(task.failure),
        "attempt": task.attempt,
        "failures": task.failures,
        "attempts_allowed": spec.retry.attempts,
        "run_at": task.run_at.astimezone(UTC),  # it may have been given in any time zone
        "created_at": spec.created_at,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "worker_id": task.worker_id,
        "key": spec.key,
        "tags": list(spec.tags),
        "timeout": None if spec.timeout is None else spec.timeout.total_seconds(),
        "retry": shown_retry(spec.retry),
        "run": None
        if origin is None
        else {"id": origin.run_id, "step": origin.step, "purpose": origin.purpose.value},
        "progress": progress_document(detail.progress),
        "version": task.version,
    }


def attempt_document(attempt: Attempt) -> AttemptDocument:
    """Show an attempt."""
    return {
        "number": attempt.number,
        "worker_id": attempt.worker_id,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "outcome": attempt.outcome.value,
        "error": error_document(attempt.failure),
    }


def log_document(position: int, entry: LogEntry) -> LogDocument:
    """Show a line of a task's log."""
    return {
        "position": position,
        "attempt": entry.attempt,
        "at": entry.at,
        "level": entry.level,
        "message": entry.message,
        "fields": dict(entry.fields),
    }
