"""Workflow definitions as documents. One in full is `domain.workflow.document`'s."""

from __future__ import annotations

from typing_extensions import TypedDict

from cueline.domain.workflow.definition import Workflow


class WorkflowReference(TypedDict):
    """A version of a workflow."""

    name: str
    version: int


class WorkflowSummary(WorkflowReference):
    """A version of a workflow in a listing, with the names of its steps."""

    steps: list[str]


def workflow_reference(workflow: Workflow) -> WorkflowReference:
    """Name a version of a workflow."""
    return {"name": workflow.name, "version": workflow.version}


def workflow_summary(workflow: Workflow) -> WorkflowSummary:
    """Show a workflow in a listing."""
    return {**workflow_reference(workflow), "steps": [step.name for step in workflow.steps]}
