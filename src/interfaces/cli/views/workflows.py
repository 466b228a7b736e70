"""Workflow definitions as views."""

from __future__ import annotations

from collections.abc import Sequence

from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import workflow_document
from cueline.interfaces.cli.table import Cell, Column, Sheet, Table
from cueline.interfaces.cli.text import clean
from cueline.interfaces.cli.views.values import json_cell, json_value


def workflow_table(workflows: Sequence[Workflow]) -> Table:
    """Workflow versions, one on a line."""
    columns = (
        Column("name"),
        Column("version", right=True),
        Column("steps", right=True),
        Column("tasks", flexible=True),
    )
    rows = [
        [
            Cell(workflow.name),
            Cell(str(workflow.version)),
            Cell(str(len(workflow.steps))),
            Cell(", ".join(dict.fromkeys(name for _, name in workflow.tasks))),
        ]
        for workflow in workflows
    ]
    return Table(columns, rows, "No workflow is registered.")


def workflow_sheet(workflow: Workflow) -> Sheet:
    """A workflow as a whole."""
    return Sheet(
        [
            ("name", Cell(workflow.name)),
            ("version", Cell(str(workflow.version))),
            ("output", json_cell(workflow.output)),
        ]
    )


def step_definitions(workflow: Workflow) -> Table:
    """The steps of a workflow and what each needs."""
    columns = (
        Column("step"),
        Column("task"),
        Column("needs", flexible=True),
        Column("undo", spare=True),
        Column("input", flexible=True, spare=True),
    )
    rows = [
        [
            Cell(step.name),
            Cell(step.task),
            Cell(", ".join(sorted(workflow.needs[step.name]))),
            Cell(step.compensate.task if step.compensate else ""),
            Cell(json_value(step.input) if step.input else ""),
        ]
        for step in workflow.steps
    ]
    return Table(columns, rows)


def workflow_yaml(workflow: Workflow) -> str:
    """The definition as a YAML file holds it, ready to be changed and registered again."""
    import yaml

    document = workflow_document(workflow)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    if any(clean(line) != line for line in text.splitlines()):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=100)
    return text.rstrip("\n")
