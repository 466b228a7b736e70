"""Tasks, their attempts and their logs as views."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cueline.application.ports.journal import LogEntry
from cueline.application.queries import TaskDetail
from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.duration import duration_text
from cueline.domain.task import Task, TaskState
from cueline.interfaces.cli.table import Cell, Column, Sheet, Table
from cueline.interfaces.cli.text import moment, span
from cueline.interfaces.cli.views.values import failure_cell, json_cell, json_value, state_cell
from cueline.interfaces.documents.states import SCHEDULED, shown_state

_COLUMNS = (
    Column("id"),
    Column("name", flexible=True),
    Column("state"),
    Column("queue", flexible=True, spare=True),
    Column("created", spare=True),
    Column("attempts", right=True, spare=True),
    Column("priority", spare=True),
    Column("error", flexible=True),
)


def task_table(details: Sequence[TaskDetail]) -> Table:
    """Tasks, one on a line."""
    return Table(_COLUMNS, [_task_row(detail) for detail in details], "There are no such tasks.")


def _task_row(detail: TaskDetail) -> list[Cell]:
    task, spec = detail.task, detail.task.spec
    return [
        Cell(task.id),
        Cell(spec.name),
        state_cell(SCHEDULED if detail.scheduled else task.state.value),
        Cell(spec.queue),
        Cell(moment(spec.created_at)),
        Cell(str(task.attempt)),
        Cell(spec.priority.label),
        Cell(task.failure.summary if task.failure else "", "red"),
    ]


def task_sheet(detail: TaskDetail, now: datetime) -> Sheet:
    """Everything about a task."""
    task, spec = detail.task, detail.task.spec
    origin = spec.origin
    charged = f"{task.attempt} ({task.failures} of {spec.retry.attempts} failures charged)"
    return Sheet(
        [
            ("id", Cell(task.id)),
            ("name", Cell(spec.name)),
            ("state", state_cell(shown_state(task, now))),
            ("queue", Cell(spec.queue)),
            ("priority", Cell(spec.priority.label)),
            ("attempts", Cell(charged if task.attempt else "none yet")),
            ("progress", progress_cell(detail)),
            ("created", Cell(moment(spec.created_at))),
            ("run at", Cell(moment(task.run_at) if task.state is TaskState.QUEUED else "")),
            ("started", Cell(moment(task.started_at))),
            ("ended", Cell(moment(task.ended_at))),
            ("duration", Cell(task_duration(task, now))),
            ("worker", Cell(task.worker_id or "")),
            ("timeout", Cell("" if spec.timeout is None else duration_text(spec.timeout))),
            ("key", Cell(spec.key or "")),
            ("tags", Cell(", ".join(spec.tags))),
            ("run", Cell("" if origin is None else origin.run_id)),
            ("step", Cell("" if origin is None else f"{origin.step} ({origin.purpose.value})")),
            ("input", json_cell(spec.input)),
            ("output", json_cell(task.output)),
            ("error", failure_cell(task.failure)),
        ]
    )


def watched_task(detail: TaskDetail, reason: str, now: datetime) -> Table:
    """A task while it is watched."""
    task = detail.task
    columns = (
        Column("task", flexible=True),
        Column("state"),
        Column("attempt", right=True),
        Column("duration", right=True),
        Column("progress", flexible=True),
        Column("detail", flexible=True),
    )
    row = [
        Cell(task.spec.name),
        state_cell(shown_state(task, now)),
        Cell(str(task.attempt) if task.attempt else ""),
        Cell(task_duration(task, now)),
        progress_cell(detail),
        task_detail(task, reason),
    ]
    return Table(columns, [row])


def task_detail(task: Task, reason: str) -> Cell:
    """The most telling thing about a task beyond its state."""
    if task.state is TaskState.QUEUED:
        return Cell(reason, "yellow")
    return Cell(task.failure.summary, "red") if task.failure is not None else Cell()


def task_verdict(task: Task) -> str:
    """How a task ended, in a sentence."""
    why = f": {task.failure.summary}" if task.failure and task.state is TaskState.FAILED else ""
    return f"Task {task.id} ({task.spec.name}) {_ENDINGS[task.state]}{why}"


_ENDINGS = {
    TaskState.SUCCEEDED: "succeeded",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "was cancelled",
}


def attempt_table(attempts: Sequence[Attempt], now: datetime) -> Table:
    """The attempts at a task."""
    columns = (
        Column("attempt", right=True),
        Column("outcome"),
        Column("duration", right=True),
        Column("started", spare=True),
        Column("worker", spare=True),
        Column("error", flexible=True),
    )
    rows = [
        [
            Cell(str(each.number)),
            state_cell(each.outcome.value),
            Cell(_attempt_duration(each, now)),
            Cell(moment(each.started_at)),
            Cell(each.worker_id),
            Cell(each.failure.summary if each.failure else "", "red"),
        ]
        for each in attempts
    ]
    return Table(columns, rows, "No attempt has been made yet.")


def log_text(entry: LogEntry) -> str:
    """A line of a task's log."""
    fields = {name: value for name, value in entry.fields.items() if name != "percent"}
    parts = [moment(entry.at), f"#{entry.attempt}", f"{entry.level:<8}"]
    if entry.level == "progress":
        parts.append(f"{percent_of(entry):.0f}%")
    parts.append(entry.message)
    parts += [f"{name}={json_value(value)}" for name, value in fields.items()]
    return " ".join(part for part in parts if part)


def progress_cell(detail: TaskDetail) -> Cell:
    """The progress of the present attempt; that of an earlier one says nothing any more."""
    entry = detail.progress
    if entry is None or entry.attempt != detail.task.attempt:
        return Cell()
    return Cell(entry.message, percent=percent_of(entry))


def percent_of(entry: LogEntry) -> float:
    """How far an entry of level `progress` says that the attempt has come."""
    percent = entry.fields.get("percent")
    return float(percent) if isinstance(percent, (int, float)) else 0.0


def task_duration(task: Task, now: datetime) -> str:
    """How long the present or last attempt took."""
    if task.started_at is None:
        return ""
    if task.ended_at is None and task.state is not TaskState.RUNNING:
        return ""
    return span((task.ended_at or now) - task.started_at)


def _attempt_duration(attempt: Attempt, now: datetime) -> str:
    if attempt.ended_at is None and attempt.outcome is not AttemptOutcome.RUNNING:
        return ""
    return span((attempt.ended_at or now) - attempt.started_at)
