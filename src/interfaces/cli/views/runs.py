"""Runs of workflows, their steps and their history, as views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from cueline.application.queries import RunDetail
from cueline.domain.events import Event
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import Run, RunState, StepRun, StepState
from cueline.interfaces.cli.table import Cell, Column, Sheet, Table
from cueline.interfaces.cli.text import moment, span
from cueline.interfaces.cli.views.tasks import percent_of
from cueline.interfaces.cli.views.values import failure_cell, json_cell, json_value, state_cell


def run_table(runs: Sequence[Run]) -> Table:
    """Runs, one on a line."""
    columns = (
        Column("id"),
        Column("workflow", flexible=True),
        Column("state"),
        Column("steps", right=True),
        Column("created", spare=True),
        Column("ended", spare=True),
        Column("error", flexible=True),
    )
    rows = [
        [
            Cell(run.id),
            Cell(workflow_label(run)),
            state_cell(run.state.value),
            Cell(f"{len(run.steps) - run.remaining}/{len(run.steps)}"),
            Cell(moment(run.created_at)),
            Cell(moment(run.ended_at)),
            Cell(run.failure.summary if run.failure else "", "red"),
        ]
        for run in runs
    ]
    return Table(columns, rows, "There are no such runs.")


def run_sheet(run: Run, now: datetime) -> Sheet:
    """A run as a whole."""
    return Sheet(
        [
            ("id", Cell(run.id)),
            ("workflow", Cell(workflow_label(run))),
            ("state", state_cell(run.state.value)),
            ("created", Cell(moment(run.created_at))),
            ("ended", Cell(moment(run.ended_at))),
            ("duration", Cell(span((run.ended_at or now) - run.created_at))),
            ("key", Cell(run.key or "")),
            ("input", json_cell(run.input)),
            ("output", json_cell(run.output)),
            ("error", failure_cell(run.failure)),
        ]
    )


_STEP_COLUMNS = (
    Column("step", flexible=True),
    Column("state"),
    Column("attempts", right=True),
    Column("duration", right=True),
    Column("progress", flexible=True),
    Column("detail", flexible=True),
)


def step_table(detail: RunDetail, now: datetime, only: Collection[str] | None = None) -> Table:
    """The steps of a run and where each stands; `only` these, if it says which."""
    rows = [
        _step_row(detail, step, now)
        for step in detail.run.steps.values()
        if only is None or step.name in only
    ]
    return Table(_STEP_COLUMNS, rows)


def _step_row(detail: RunDetail, step: StepRun, now: datetime) -> list[Cell]:
    task = detail.tasks.get(step.name)
    return [
        Cell(step.name),
        state_cell(step.state.value),
        Cell("" if task is None or not task.attempt else str(task.attempt)),
        Cell(_step_duration(step, now)),
        step_progress(detail, step),
        step_detail(detail, step),
    ]


def step_detail(detail: RunDetail, step: StepRun) -> Cell:
    """The most telling thing about a step beyond its state."""
    task = detail.tasks.get(step.name)
    if step.failure is not None:
        return Cell(step.failure.summary, "red")
    if step.state is StepState.RUNNING and task is not None and task.state is TaskState.QUEUED:
        if task.failure is not None:
            return Cell(f"again at {moment(task.run_at)} after {task.failure.summary}", "yellow")
        return Cell(f"waits in queue {task.spec.queue}", "dim")
    return Cell()


def step_progress(detail: RunDetail, step: StepRun) -> Cell:
    """The progress of a step that is running, as its present attempt has reported it."""
    entry, task = detail.progress.get(step.name), detail.tasks.get(step.name)
    if step.state is not StepState.RUNNING or entry is None or task is None:
        return Cell()
    if entry.attempt != task.attempt:
        return Cell()
    return Cell(entry.message, percent=percent_of(entry))


def _step_duration(step: StepRun, now: datetime) -> str:
    if step.started_at is None or (step.ended_at is None and not step.in_flight):
        return ""
    return span((step.ended_at or now) - step.started_at)


def run_headline(run: Run, now: datetime) -> str:
    """A run in one line."""
    done = f"{len(run.steps) - run.remaining} of {len(run.steps)} steps"
    length = span((run.ended_at or now) - run.created_at)
    return f"{workflow_label(run)}  {run.state.value}  {done}  {length}  run {run.id}"


def run_verdict(run: Run) -> str:
    """How a run ended, in a sentence."""
    why = f": {run.failure.summary}" if run.failure and run.state is not RunState.SUCCEEDED else ""
    return f"Run {run.id} of {workflow_label(run)} is {run.state.value}{why}"


def history_table(events: Sequence[Event]) -> Table:
    """The history of a run."""
    columns = (
        Column("#", right=True),
        Column("at", spare=True),
        Column("event"),
        Column("detail", flexible=True),
    )
    rows = [
        [
            Cell(str(event.sequence)),
            Cell(moment(event.at)),
            Cell(event.type),
            Cell(", ".join(f"{name}={json_value(value)}" for name, value in event.data.items())),
        ]
        for event in events
    ]
    return Table(columns, rows, "Nothing has happened yet.")


def workflow_label(run: Run) -> str:
    """The workflow of a run with its version."""
    return f"{run.workflow.name} v{run.workflow.version}"


def fitting_steps(run: Run, room: int) -> tuple[set[str] | None, str]:
    """Which steps to show where only so many fit, and what is said of the others.

    Shown first are those under way or broken, then those that ended last, then those that wait.
    """
    if len(run.steps) <= room:
        return None, ""
    oldest = run.created_at
    order = sorted(
        run.steps.values(),
        key=lambda step: (
            not (step.in_flight or step.failure is not None),
            step.ended_at is None,
            -((step.ended_at or oldest) - oldest).total_seconds(),
        ),
    )
    shown = {step.name for step in order[: max(1, room)]}
    hidden = Counter(step.state.value for step in run.steps.values() if step.name not in shown)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(hidden.items()))
    return shown, f"... and {len(run.steps) - len(shown)} more: {counts}"
