"""The states by the names that users know: a queued task may be scheduled."""

from __future__ import annotations

from datetime import datetime

from cueline.domain.task import Task, TaskState

SCHEDULED = "scheduled"
"""How a queued task is shown whose run time is ahead."""

COUNTED = (SCHEDULED, *(state.value for state in TaskState))
"""The states by which tasks are counted, in the order of a task's life."""


def shown_state(task: Task, now: datetime) -> str:
    """Where a task stands."""
    return SCHEDULED if task.is_scheduled(now) else task.state.value
