"""Documents of workflows and runs as REST shows them: with links; and its answers to starts."""

from __future__ import annotations

from typing_extensions import TypedDict

from cueline.application.queries import RunDetail
from cueline.application.workflows import Started
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run
from cueline.interfaces.documents import runs, workflows
from cueline.interfaces.rest.documents import Links
from cueline.interfaces.rest.edge import PREFIX


class WorkflowSummary(workflows.WorkflowSummary):
    """A version of a workflow in a listing, with the names of its steps."""

    links: Links


class RunSummary(runs.RunSummary):
    """A run in a listing."""

    links: Links


class RunDocument(runs.RunDocument):
    """A run and where each of its steps stands."""

    links: Links


class RunReceipt(TypedDict):
    """The answer to a request for a run. `created` is false when a key brought an earlier run."""

    id: str
    state: str
    created: bool
    links: Links


def workflow_summary(workflow: Workflow) -> WorkflowSummary:
    """Show a workflow in a listing."""
    links = {
        "self": workflow_address(workflow),
        "runs": f"{PREFIX}/workflows/{workflow.name}/runs",
    }
    return {**workflows.workflow_summary(workflow), "links": links}


def workflow_address(workflow: Workflow) -> str:
    """Where a version of a workflow is shown."""
    return f"{PREFIX}/workflows/{workflow.name}/versions/{workflow.version}"


def run_summary(run: Run) -> RunSummary:
    """Show a run in a listing."""
    return {**runs.run_summary(run), "links": run_links(run)}


def run_document(detail: RunDetail) -> RunDocument:
    """Show a run."""
    return {**runs.run_document(detail), "links": run_links(detail.run)}


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
