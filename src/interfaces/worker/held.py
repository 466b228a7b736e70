"""A task that a worker holds, and how its handler is interrupted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto

from cueline.application.context import Context
from cueline.application.outcomes import Outcome, Released
from cueline.domain.task import Task


class Interruption(Enum):
    """Why a handler was interrupted."""

    REVOKED = auto()  # the task is no longer ours: say nothing
    RELEASED = auto()  # the worker shuts down: give the task back


@dataclass(slots=True)
class Held:
    """A task that this worker holds, until its outcome is settled."""

    task: Task
    context: Context
    runner: asyncio.Task[None]
    interruption: Interruption | None = None
    started: bool = False
    finished: bool = False

    def interrupt(self, why: Interruption) -> None:
        """Stop the handler. A finished one is left to settle."""
        if not self.finished and self.interruption is None:
            self.interruption = why
            self.context.interruption.requested = True
            if self.started:  # a task cancelled before its first step would not run at all
                self.runner.cancel()

    def broken_off(self) -> Outcome | None:
        """The outcome of an interrupted attempt: a revoked task is nobody's business any more."""
        return Released(self.task) if self.interruption is Interruption.RELEASED else None
