"""How what was waited for has ended, in words and as an exit code."""

from __future__ import annotations

from cueline.application.queries import RunDetail, TaskDetail
from cueline.domain.json import Json
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import RunState
from cueline.interfaces.cli.exits import Exit
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.table import Sheet
from cueline.interfaces.cli.views.runs import run_verdict
from cueline.interfaces.cli.views.tasks import task_verdict
from cueline.interfaces.cli.views.values import json_cell
from cueline.interfaces.documents.runs import run_document
from cueline.interfaces.documents.tasks import task_document


def tell_task(screen: Screen, end: TaskDetail, *, created: bool) -> Exit:
    """Answer with a task that was submitted and has ended."""
    document = {**task_document(end), "created": created}
    screen.answer(document, task_verdict(end.task), *_output(end.task.output))
    return task_exit(end)


def tell_run(screen: Screen, end: RunDetail, *, created: bool) -> Exit:
    """Answer with a run that was started and has ended."""
    document = {**run_document(end), "created": created}
    screen.answer(document, run_verdict(end.run), *_output(end.run.output))
    return run_exit(end)


def task_exit(end: TaskDetail) -> Exit:
    """Whether a task did what it was to do."""
    return Exit.OK if end.task.state is TaskState.SUCCEEDED else Exit.ENDED_BADLY


def run_exit(end: RunDetail) -> Exit:
    """Whether a run did what it was to do."""
    return Exit.OK if end.run.state is RunState.SUCCEEDED else Exit.ENDED_BADLY


def _output(value: Json) -> list[Sheet]:
    return [] if value is None else [Sheet([("output", json_cell(value))])]
