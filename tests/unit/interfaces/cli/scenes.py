"""What several tests of the command line tell their stories with."""

from __future__ import annotations

from cueline.application.ports.journal import LogEntry
from cueline.domain.json import Json
from cueline.domain.task import Task
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import Run
from tests.doubles import NOW
from tests.factories import a_step, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine

NOBODY = "0198c0de-0000-7000-8000-000000000000"
"""The id of nothing."""

ORDER = a_workflow(
    steps=[
        Step(
            "reserve",
            "reserve",
            {"order": "${input.order}"},
            compensate=Compensation("unreserve", {}),
        ),
        a_step("charge", task="charge", after="reserve"),
    ],
    output="${steps.reserve.output.order}",
)
"""A workflow of two steps, the first of which can be undone."""


def refuse(_task: Task) -> Json:
    """A handler that fails."""
    raise ValueError("card refused\nby the bank")


async def nothing() -> None:
    """Let one look pass in which nothing happens."""


def a_log(task: Task, message: str, *, level: str = "info", **fields: Json) -> LogEntry:
    """A line that a task's first attempt logged."""
    return LogEntry(task.id, 1, NOW, level, message, fields)


def registered(cli: CommandLine, workflow: Workflow = ORDER) -> Workflow:
    """Register a workflow beside the command line."""
    cli.do(cli.harness.app.register(workflow))
    return workflow


def started(cli: CommandLine, workflow: Workflow = ORDER) -> Run:
    """Start a run beside the command line."""
    return cli.do(cli.harness.start(workflow, {"order": 7}))
