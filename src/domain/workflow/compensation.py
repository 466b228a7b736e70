"""Compensation: undoing what a run has done, when it cannot be completed.

A step may declare how it is undone. When the run fails or is cancelled, the steps that succeeded
and are compensable are undone one at a time, the last to complete first. A step completes after
everything it depends on, so this order is also the reverse of the dependencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cueline.domain.json import JsonObject
from cueline.domain.retry import RetryPolicy

if TYPE_CHECKING:
    from cueline.domain.workflow.definition import Step
    from cueline.domain.workflow.run import StepRun


@dataclass(frozen=True, slots=True)
class Compensation:
    """How a step is undone: the task to run, and its input (the step's output can be used)."""

    task: str
    input: JsonObject
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None


def undo_order(steps: Mapping[str, StepRun], definitions: Mapping[str, Step]) -> list[str]:
    """The steps that are still to be undone, in the order in which to do it."""
    due = [
        step
        for step in steps.values()
        if step.is_done and definitions[step.name].compensate is not None
    ]
    due.sort(key=lambda step: step.completed or 0, reverse=True)
    return [step.name for step in due]
