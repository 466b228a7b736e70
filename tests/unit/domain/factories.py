"""The things that tests of the domain begin with, with defaults for what does not matter."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings

from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task, TaskSpec, TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import Run

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + 60 * SECOND

TASK_ID = TaskId("019b7c5d-2c80-7000-8000-000000000001")
RUN_ID = RunId("019b7c5d-2c80-7000-8000-000000000002")
WORKER_ID = WorkerId("019b7c5d-2c80-7000-8000-000000000003")

modest = settings(max_examples=100, derandomize=True, deadline=None)
"""Enough examples to be worth it, few enough for seconds, and the same ones each time."""


def a_failure(type: str = "ValueError", message: str = "no such order", **fields: Any) -> Failure:
    return Failure(type, message, **fields)


def a_task(state: TaskState = TaskState.QUEUED, attempts: int = 3, **fields: Any) -> Task:
    """A task in a state, brought there through its own methods."""
    spec = TaskSpec(
        **{
            "id": TASK_ID,
            "name": "charge",
            "input": {"order": 7},
            "created_at": NOW,
            "retry": RetryPolicy(attempts=attempts),
            **fields,
        }
    )
    queued = Task.submitted(spec, NOW)
    running = queued.claim(WORKER_ID, NOW)
    match state:
        case TaskState.QUEUED:
            return queued
        case TaskState.RUNNING:
            return running
        case TaskState.SUCCEEDED:
            return running.succeed({"charge": 1}, NOW)
        case TaskState.FAILED:
            return running.fail(a_failure(permanent=True), NOW, 0.0)
        case TaskState.CANCELLED:
            return running.cancel(NOW)


def a_worker(now: datetime = NOW, lease: timedelta = 15 * SECOND) -> Worker:
    return Worker.registered(WORKER_ID, "host-1", ("default",), 4, now, lease)


def a_step(name: str, *after: str, undo: bool = False, **fields: Any) -> Step:
    """A step whose task bears its name, undone by `undo_NAME` if it can be."""
    if undo:
        fields.setdefault("compensate", Compensation(f"undo_{name}", {}))
    return Step(**{"name": name, "task": name, "after": after, **fields})


def a_workflow(*steps: Step, output: Json = None) -> Workflow:
    return Workflow("order", 1, steps or (a_step("only"),), output)


def a_run(*steps: Step, input: Json = None, output: Json = None) -> Run:
    return Run.of(RUN_ID, a_workflow(*steps, output=output), input, NOW)


def a_chain(names: Iterable[str], undo: bool = False) -> tuple[Step, ...]:
    """Steps that follow one another."""
    steps: list[Step] = []
    for name in names:
        steps.append(a_step(name, *(step.name for step in steps[-1:]), undo=undo))
    return tuple(steps)
