"""Documents: how tasks are shown as JSON, with their attempts and their logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from typing_extensions import TypedDict

from cueline.application.ports.persistence import LogEntry
from cueline.application.queries import TaskDetail
from cueline.application.tasks import Submitted
from cueline.domain.attempt import Attempt
from cueline.domain.failure import Failure
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task
from cueline.domain.workflow.document import retry_document
from cueline.interfaces.rest.edge import PREFIX
from cueline.interfaces.rest.fields import RetryDocument

Links = dict[str, str]

SCHEDULED = "scheduled"
"""How a queued task is shown whose run time is ahead."""


class ErrorDocument(TypedDict):
    """What went wrong."""

    type: str
    message: str
    traceback: str


class ProgressDocument(TypedDict):
    """How far an attempt has come, by its own report."""

    percent: float | None
    message: str
    at: datetime


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
    links: Links


class ReceiptDocument(TypedDict):
    """The answer to a submission. `created` is false when a key brought an earlier task."""

    id: str
    state: str
    created: bool
    links: Links


class ReceiptsDocument(TypedDict):
    """The answers to a batch, in its order."""

    items: list[ReceiptDocument]


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


class ExplanationDocument(TypedDict):
    """Why a task is where it is, the most telling reason first."""

    id: str
    reasons: list[str]


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
        "links": task_links(task),
    }


def task_links(task: Task) -> Links:
    """Where to go from a task."""
    here = f"{PREFIX}/tasks/{task.id}"
    links = {
        "self": here,
        "attempts": f"{here}/attempts",
        "logs": f"{here}/logs",
        "explain": f"{here}/explain",
        "events": f"{here}/events",
    }
    if task.spec.origin is not None:
        links["run"] = f"{PREFIX}/runs/{task.spec.origin.run_id}"
    return links


def receipt_document(submitted: Submitted, now: datetime) -> ReceiptDocument:
    """Confirm a submission."""
    task = submitted.task
    return {
        "id": task.id,
        "state": SCHEDULED if task.is_scheduled(now) else task.state.value,
        "created": submitted.created,
        "links": task_links(task),
    }


def error_document(failure: Failure | None) -> ErrorDocument | None:
    """Show what went wrong, if anything did."""
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback}


def shown_retry(policy: RetryPolicy) -> RetryDocument:
    """Show a retry policy, complete."""
    return cast(RetryDocument, retry_document(policy))


def progress_document(entry: LogEntry | None) -> ProgressDocument | None:
    """Show reported progress, if there is any."""
    if entry is None:
        return None
    percent = entry.fields.get("percent")
    return {
        "percent": float(percent) if isinstance(percent, (int, float)) else None,
        "message": entry.message,
        "at": entry.at,
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


def log_document(found: tuple[int, LogEntry]) -> LogDocument:
    """Show a line of a task's log."""
    position, entry = found
    return {
        "position": position,
        "attempt": entry.attempt,
        "at": entry.at,
        "level": entry.level,
        "message": entry.message,
        "fields": dict(entry.fields),
    }
