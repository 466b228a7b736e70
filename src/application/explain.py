"""Explaining a task: why it is where it is, in sentences that an operator can act on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cueline.domain.duration import duration_text
from cueline.domain.queue import Queue
from cueline.domain.task import Task, TaskState


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds a task: its queue, the live workers that serve it, what they have to do."""

    queue: Queue
    workers: int
    slots: int
    running: int


def explain(task: Task, around: Circumstances, now: datetime) -> list[str]:
    """Why the task is in its state, the most telling reason first."""
    match task.state:
        case TaskState.QUEUED:
            return _why_waiting(task, around, now)
        case TaskState.RUNNING:
            since = duration_text(_whole(now - (task.started_at or now)))
            reasons = [f"Attempt {task.attempt} has been running on {task.worker_id} for {since}."]
            if task.spec.timeout is not None:
                reasons.append(f"It will be timed out after {duration_text(task.spec.timeout)}.")
            return reasons
        case TaskState.SUCCEEDED:
            return [f"Attempt {task.attempt} succeeded."]
        case TaskState.FAILED:
            summary = task.failure.summary if task.failure else "an unknown error"
            return [
                f"It failed for good with {summary}.",
                f"{task.failures} of {task.spec.retry.attempts} attempts were charged.",
                "Retry it to give it a new life."
                if task.spec.origin is None
                else f"It is a step of run {task.spec.origin.run_id}: retry the run.",
            ]
        case TaskState.CANCELLED:
            return ["Somebody cancelled it, or the run to which it belongs."]


def _why_waiting(task: Task, around: Circumstances, now: datetime) -> list[str]:
    reasons = []
    name = around.queue.name
    if task.run_at > now:
        ahead = duration_text(_whole(task.run_at - now))
        if task.failures:
            summary = task.failure.summary if task.failure else "an error"
            reasons.append(
                f"Attempt {task.attempt} failed with {summary}; it is retried in {ahead}."
            )
        else:
            reasons.append(f"It is scheduled to run in {ahead}.")
    if around.queue.paused:
        reasons.append(f"Queue {name!r} is paused.")
    if around.workers == 0:
        reasons.append(f"No live worker serves queue {name!r}.")
    elif around.running >= around.slots:
        reasons.append(f"All {around.slots} slots of the workers serving {name!r} are busy.")
    if reasons:
        return reasons
    if task.dispatches:
        return ["It has been handed out, and waits for a worker that takes it."]
    return ["It waits in the store to be handed to the broker, or to be taken by a worker."]


def _whole(span: timedelta) -> timedelta:
    return timedelta(seconds=max(1, round(span.total_seconds())))
