"""What the database was seen to commit, for the checks that compare it with what else happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from cueline.domain.attempt import AttemptOutcome
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker, WorkerState
from tests.simulation.database import Change, Commit


@dataclass(slots=True)
class Chronicle:
    """The moves of every task and run, and what was handed out and given back."""

    now: Callable[[], float]
    states: dict[tuple[str, int], str] = field(default_factory=dict)
    """By task or run, and version."""
    claims: dict[tuple[TaskId, int], WorkerId] = field(default_factory=dict)
    """By task and version."""
    released: dict[tuple[TaskId, int], float] = field(default_factory=dict)
    """When an attempt was given back, by task and number."""
    noted: Counter[TaskId] = field(default_factory=Counter)
    """How often it was noted that a task is handed out."""
    published: Counter[TaskId] = field(default_factory=Counter)
    """How often a process set out to publish that it is ready."""

    evicted: list[tuple[float, Worker]] = field(default_factory=list)
    """When which worker was."""

    def watch(self, commit: Commit) -> None:
        """Remember what a commit changed."""
        for change in commit.tasks:
            self._remember(change)
        for run in commit.runs:
            self.states[run.after.id, run.after.version] = run.after.state
        for worker in commit.workers:
            if worker.after.state is WorkerState.LOST:
                self.evicted.append((self.now(), worker.after))
        for attempt in commit.attempts:
            if attempt.outcome is AttemptOutcome.RELEASED:
                self.released[attempt.task_id, attempt.number] = self.now()

    def _remember(self, change: Change[Task]) -> None:
        before, after = change.before, change.after
        if before is not None and before.version == after.version:
            self.noted[after.id] += max(0, after.dispatches - before.dispatches)
            return
        self.noted[after.id] += after.dispatches
        self.states[after.id, after.version] = after.state
        if after.state is TaskState.RUNNING and after.worker_id is not None:
            self.claims[after.id, after.version] = after.worker_id
