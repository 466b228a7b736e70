"""How an attempt, or the wish for one, can end: what `settle` is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.domain.task import Task, TaskState


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned."""

    task: Task
    output: Json

    def apply(self, now: datetime, _chance: float) -> Task:
        """The task as this outcome leaves it."""
        return self.task.succeed(self.output, now)

    def attempt(self, _now: datetime) -> Attempt | None:
        """No record: the task itself holds the attempt that succeeded."""
        return None


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, ran out of time, or vanished with its worker."""

    task: Task
    failure: Failure

    def apply(self, now: datetime, chance: float) -> Task:
        """The task as this outcome leaves it."""
        return self.task.fail(self.failure, now, chance)

    def attempt(self, now: datetime) -> Attempt | None:
        """The record of the failed attempt."""
        return Attempt.closed(self.task, AttemptOutcome.FAILED, self.failure, now)


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The handler asked to be called again later."""

    task: Task
    delay: timedelta

    def apply(self, now: datetime, _chance: float) -> Task:
        """The task as this outcome leaves it."""
        return self.task.snooze(self.delay, now)

    def attempt(self, now: datetime) -> Attempt | None:
        """The record of the snoozed attempt."""
        return Attempt.closed(self.task, AttemptOutcome.SNOOZED, None, now)


@dataclass(frozen=True, slots=True)
class Released:
    """The worker shuts down and gives the task back."""

    task: Task

    def apply(self, _now: datetime, _chance: float) -> Task:
        """The task as this outcome leaves it."""
        return self.task.release()

    def attempt(self, now: datetime) -> Attempt | None:
        """The record of the attempt that was broken off."""
        return Attempt.closed(self.task, AttemptOutcome.RELEASED, None, now)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled the task, queued or running."""

    task: Task

    def apply(self, now: datetime, _chance: float) -> Task:
        """The task as this outcome leaves it."""
        return self.task.cancel(now)

    def attempt(self, now: datetime) -> Attempt | None:
        """The record of the attempt that was under way, if one was."""
        if self.task.state is not TaskState.RUNNING:
            return None
        return Attempt.closed(self.task, AttemptOutcome.CANCELLED, None, now)


Outcome: TypeAlias = Succeeded | Failed | Snoozed | Released | Cancelled
