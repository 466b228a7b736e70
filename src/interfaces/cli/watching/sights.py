"""Tasks and runs as things to watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cueline.application.application import Application
from cueline.application.queries import RunDetail, TaskDetail
from cueline.domain.identifiers import Purpose, RunId, TaskId, step_task_id
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import StepState
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.table import View, plain_text
from cueline.interfaces.cli.views import runs, tasks
from cueline.interfaces.cli.watching.watch import Sight
from cueline.interfaces.documents.runs import run_document
from cueline.interfaces.documents.states import shown_state
from cueline.interfaces.documents.tasks import task_document

REASON_HOLDS = timedelta(seconds=5)
"""How long the reason why a task waits is shown before it is asked for again."""

LINES_AROUND_STEPS = 6
"""What a live view of a run needs beside its steps: headline, table head, what is left out."""


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A look at a task, and why it waits if it does."""

    detail: TaskDetail
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A look at a run."""

    detail: RunDetail
    now: datetime


class _TaskLooks:
    """Looks at a task. Why it waits costs more to find out and is not asked at every look."""

    def __init__(self, application: Application, id: TaskId) -> None:
        self._application = application
        self._id = id
        self._version = 0
        self._asked_at: datetime | None = None
        self._reason = ""

    async def __call__(self) -> TaskSeen:
        queries = self._application.queries
        detail = await queries.task(self._id)
        if detail.task.state is TaskState.QUEUED and self._asks_again(detail.task.version):
            reasons = await queries.explain(self._id)
            explained, detail = detail.task.version, await queries.task(self._id)
            if detail.task.version == explained:  # else the reason is that of another state
                self._version, self._asked_at = explained, self._application.clock.now()
                self._reason = reasons[0] if reasons else ""
        known = detail.task.state is TaskState.QUEUED and detail.task.version == self._version
        now = self._application.clock.now()
        return TaskSeen(detail, self._reason if known else "", now)

    def _asks_again(self, version: int) -> bool:
        if self._asked_at is None or version != self._version:
            return True
        return self._application.clock.now() - self._asked_at >= REASON_HOLDS


def task_sight(application: Application, id: TaskId) -> Sight[TaskSeen]:
    """A task until it has ended."""
    return Sight(
        events=application.queries.watch([id]),
        look=_TaskLooks(application, id),
        ended=lambda seen: seen.detail.task.state.ended,
        at=lambda seen: seen.now,
        document=lambda seen: task_document(seen.detail),
        views=lambda seen: [tasks.watched_task(seen.detail, seen.reason, seen.now)],
        lines=_task_lines,
    )


def _task_lines(seen: TaskSeen) -> Mapping[str, str]:
    task = seen.detail.task
    attempt = f"attempt {task.attempt}" if task.attempt else ""
    progress = plain_text(tasks.progress_cell(seen.detail))
    detail = plain_text(tasks.task_detail(task, seen.reason))
    return {"": _line(shown_state(task, seen.now), attempt, progress, detail)}


async def run_sight(application: Application, screen: Screen, id: RunId) -> Sight[RunSeen]:
    """A run until it has ended, its steps' tasks included."""
    queries = application.queries
    steps = (await queries.run(id)).run.steps
    step_tasks = [step_task_id(id, step, purpose) for step in steps for purpose in Purpose]

    async def look() -> RunSeen:
        return RunSeen(await queries.run(id), application.clock.now())

    return Sight(
        events=queries.watch([id, *step_tasks]),
        look=look,
        ended=lambda seen: seen.detail.run.state.ended,
        at=lambda seen: seen.now,
        document=lambda seen: run_document(seen.detail),
        views=lambda seen: _run_views(seen, screen.height - LINES_AROUND_STEPS),
        lines=_run_lines,
    )


def _run_views(seen: RunSeen, room: int) -> Sequence[View]:
    only, left_out = runs.fitting_steps(seen.detail.run, room)
    views: list[View] = [
        runs.run_headline(seen.detail.run, seen.now),
        runs.step_table(seen.detail, seen.now, only),
    ]
    return [*views, left_out] if left_out else views


def _run_lines(seen: RunSeen) -> Mapping[str, str]:
    run = seen.detail.run
    lines = {
        step.name: _line(
            "step",
            step.name,
            step.state.value,
            plain_text(runs.step_progress(seen.detail, step)),
            plain_text(runs.step_detail(seen.detail, step)),
        )
        for step in run.steps.values()
        if step.state is not StepState.WAITING
    }
    return {**lines, "": _line("run", run.state.value)}


def _line(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
