"""What a run is told, and what it answers is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose
from cueline.domain.json import Json

# --- What a run is told ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The run has been created."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """The task that does or undoes a step brought a result."""

    step: str
    purpose: Purpose
    output: Json = None


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """The task that does or undoes a step failed for good."""

    step: str
    purpose: Purpose
    failure: Failure


@dataclass(frozen=True, slots=True)
class TaskCancelled:
    """The task that does or undoes a step was cancelled."""

    step: str
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class PauseRun:
    """Start no further step; what is under way goes on."""


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Stop what is under way, undo what was done, and end."""


@dataclass(frozen=True, slots=True)
class RetryRun:
    """Try again what failed: the steps of a failed run, or the undo that failed."""


RunInput: TypeAlias = (
    Begin | TaskSucceeded | TaskFailed | TaskCancelled | PauseRun | ResumeRun | CancelRun | RetryRun
)

# --- What is to be done about it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTask:
    """Submit the task that does or undoes a step; `again` if it had ended and is to be requeued."""

    step: str
    purpose: Purpose
    input: Mapping[str, Json]
    again: bool = False


@dataclass(frozen=True, slots=True)
class WithdrawTasks:
    """Cancel the tasks of these steps: those only queued, or with `running` those under way too."""

    steps: tuple[str, ...]
    running: bool


Command: TypeAlias = StartTask | WithdrawTasks
