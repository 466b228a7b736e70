"""Runs of workflows, their steps and their history as documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from cueline.application.queries import RunDetail
from cueline.domain.events import Event
from cueline.domain.workflow.run import Run, StepRun
from cueline.interfaces.documents.parts import (
    ErrorDocument,
    ProgressDocument,
    error_document,
    progress_document,
)
from cueline.interfaces.documents.workflows import WorkflowReference, workflow_reference


class StepRunDocument(TypedDict):
    """Where a step of a run stands. `attempts` counts the calls of its handler."""

    state: str
    task_id: str | None
    attempts: int
    output: Any
    error: ErrorDocument | None
    started_at: datetime | None
    ended_at: datetime | None
    progress: ProgressDocument | None


class StepCount(TypedDict):
    """How many of a run's steps have succeeded."""

    succeeded: int
    total: int


class RunSummary(TypedDict):
    """A run in a listing."""

    id: str
    workflow: WorkflowReference
    state: str
    step_count: StepCount
    error: ErrorDocument | None
    key: str | None
    created_at: datetime
    ended_at: datetime | None
    version: int


class RunDocument(RunSummary):
    """A run and where each of its steps stands."""

    input: Any
    output: Any
    steps: dict[str, StepRunDocument]


class HistoryDocument(TypedDict):
    """One thing that happened in a run."""

    sequence: int
    type: str
    at: datetime
    data: dict[str, Any]


def run_summary(run: Run) -> RunSummary:
    """Show a run in a listing."""
    total = len(run.workflow.steps)
    return {
        "id": run.id,
        "workflow": workflow_reference(run.workflow),
        "state": run.state.value,
        "step_count": {"succeeded": total - run.remaining, "total": total},
        "error": error_document(run.failure),
        "key": run.key,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
        "version": run.version,
    }


def run_document(detail: RunDetail) -> RunDocument:
    """Show a run."""
    run = detail.run
    return {
        **run_summary(run),
        "input": run.input,
        "output": run.output,
        "steps": {name: _step(step, detail) for name, step in run.steps.items()},
    }


def _step(step: StepRun, detail: RunDetail) -> StepRunDocument:
    task = detail.tasks.get(step.name)
    return {
        "state": step.state.value,
        "task_id": None if task is None else task.id,
        "attempts": 0 if task is None else task.attempt,
        "output": step.output,
        "error": error_document(step.failure),
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "progress": progress_document(detail.progress.get(step.name)),
    }


def history_document(event: Event) -> HistoryDocument:
    """Show an entry of a run's history."""
    return {
        "sequence": event.sequence,
        "type": event.type,
        "at": event.at,
        "data": dict(event.data),
    }
