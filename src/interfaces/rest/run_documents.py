"""Documents: how workflows and runs are shown as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from cueline.application.queries import RunDetail
from cueline.application.workflows import Started
from cueline.domain.events import Event
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run, StepRun
from cueline.interfaces.rest.documents import (
    ErrorDocument,
    Links,
    ProgressDocument,
    error_document,
    progress_document,
)
from cueline.interfaces.rest.edge import PREFIX


class WorkflowReference(TypedDict):
    """A version of a workflow."""

    name: str
    version: int


class WorkflowSummary(WorkflowReference):
    """A version of a workflow in a listing, with the names of its steps."""

    steps: list[str]
    links: Links


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
    links: Links


class RunDocument(RunSummary):
    """A run and where each of its steps stands."""

    input: Any
    output: Any
    steps: dict[str, StepRunDocument]


class RunReceipt(TypedDict):
    """The answer to a request for a run. `created` is false when a key brought an earlier run."""

    id: str
    state: str
    created: bool
    links: Links


class HistoryDocument(TypedDict):
    """One thing that happened in a run."""

    sequence: int
    type: str
    at: datetime
    data: dict[str, Any]


def workflow_summary(workflow: Workflow) -> WorkflowSummary:
    """Show a workflow in a listing."""
    return {
        "name": workflow.name,
        "version": workflow.version,
        "steps": [step.name for step in workflow.steps],
        "links": {
            "self": workflow_address(workflow),
            "runs": f"{PREFIX}/workflows/{workflow.name}/runs",
        },
    }


def workflow_address(workflow: Workflow) -> str:
    """Where a version of a workflow is shown."""
    return f"{PREFIX}/workflows/{workflow.name}/versions/{workflow.version}"


def run_links(run: Run) -> Links:
    """Where to go from a run."""
    here = f"{PREFIX}/runs/{run.id}"
    return {
        "self": here,
        "history": f"{here}/history",
        "events": f"{here}/events",
        "tasks": f"{PREFIX}/tasks?run={run.id}",
    }


def run_receipt(started: Started) -> RunReceipt:
    """Confirm a request for a run."""
    run = started.run
    return {
        "id": run.id,
        "state": run.state.value,
        "created": started.created,
        "links": run_links(run),
    }


def run_summary(run: Run) -> RunSummary:
    """Show a run in a listing."""
    total = len(run.workflow.steps)
    return {
        "id": run.id,
        "workflow": {"name": run.workflow.name, "version": run.workflow.version},
        "state": run.state.value,
        "step_count": {"succeeded": total - run.remaining, "total": total},
        "error": error_document(run.failure),
        "key": run.key,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
        "version": run.version,
        "links": run_links(run),
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
