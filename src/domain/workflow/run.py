"""A run: one execution of a workflow, and where each of its steps stands.

What moves a run is in `RUN_TRANSITIONS`, what moves a step in `STEP_TRANSITIONS`. The decisions
that lead to those moves are in `advance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from cueline.domain.errors import IllegalTransition
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId
from cueline.domain.json import Json, same_json
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import same_workflow
from cueline.domain.workflow.expression import Scope


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPENSATING = "compensating"
    SUCCEEDED = "succeeded"
    COMPENSATED = "compensated"
    FAILED = "failed"
    COMPENSATION_FAILED = "compensation_failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the run by itself."""
        return self not in (RunState.RUNNING, RunState.PAUSED, RunState.COMPENSATING)


class RunEvent(StrEnum):
    """What can happen to a run as a whole."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    COMPLETE = "complete"
    COMPENSATE = "compensate"
    FAIL = "fail"
    END_COMPENSATED = "end compensated"
    END_CANCELLED = "end cancelled"
    FAIL_COMPENSATION = "fail compensation"


RUN_TRANSITIONS: Mapping[RunState, Mapping[RunEvent, RunState]] = MappingProxyType(
    {
        RunState.RUNNING: {
            RunEvent.PAUSE: RunState.PAUSED,
            RunEvent.CANCEL: RunState.COMPENSATING,
            RunEvent.COMPLETE: RunState.SUCCEEDED,
            RunEvent.COMPENSATE: RunState.COMPENSATING,
        },
        RunState.PAUSED: {
            RunEvent.RESUME: RunState.RUNNING,
            RunEvent.CANCEL: RunState.COMPENSATING,
        },
        RunState.COMPENSATING: {
            RunEvent.FAIL: RunState.FAILED,  # there was nothing to undo
            RunEvent.END_COMPENSATED: RunState.COMPENSATED,
            RunEvent.END_CANCELLED: RunState.CANCELLED,
            RunEvent.FAIL_COMPENSATION: RunState.COMPENSATION_FAILED,
        },
        RunState.SUCCEEDED: {},
        RunState.COMPENSATED: {},
        RunState.FAILED: {RunEvent.RETRY: RunState.RUNNING},
        RunState.COMPENSATION_FAILED: {RunEvent.RETRY: RunState.COMPENSATING},
        RunState.CANCELLED: {},
    }
)


class StepState(StrEnum):
    """Where a step of a run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


class StepEvent(StrEnum):
    """What can happen to a step."""

    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    RESET = "reset"
    UNDO = "undo"
    UNDONE = "undone"
    FAIL_UNDO = "fail undo"


STEP_TRANSITIONS: Mapping[StepState, Mapping[StepEvent, StepState]] = MappingProxyType(
    {
        StepState.WAITING: {
            StepEvent.START: StepState.RUNNING,
            StepEvent.FAIL: StepState.FAILED,  # its input could not be made
        },
        StepState.RUNNING: {
            StepEvent.SUCCEED: StepState.SUCCEEDED,
            StepEvent.FAIL: StepState.FAILED,
            StepEvent.CANCEL: StepState.CANCELLED,
        },
        StepState.SUCCEEDED: {
            StepEvent.UNDO: StepState.COMPENSATING,
            StepEvent.FAIL_UNDO: StepState.COMPENSATION_FAILED,  # its input could not be made
        },
        StepState.FAILED: {StepEvent.RESET: StepState.WAITING},
        StepState.CANCELLED: {StepEvent.RESET: StepState.WAITING},
        StepState.COMPENSATING: {
            StepEvent.UNDONE: StepState.COMPENSATED,
            StepEvent.FAIL_UNDO: StepState.COMPENSATION_FAILED,
        },
        StepState.COMPENSATED: {},
        StepState.COMPENSATION_FAILED: {
            StepEvent.UNDO: StepState.COMPENSATING,
            StepEvent.FAIL_UNDO: StepState.COMPENSATION_FAILED,
        },
    }
)


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step of one run. `completed` is its place in the order in which steps succeeded.

    `starts` counts how often the step was started; it exceeds 1 only when the run was retried.
    """

    name: str
    state: StepState = StepState.WAITING
    starts: int = 0
    undo_starts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    completed: int | None = None
    output: Json = None
    failure: Failure | None = None

    @property
    def in_flight(self) -> bool:
        """Whether a task of the step may still report."""
        return self.state in (StepState.RUNNING, StepState.COMPENSATING)

    @property
    def is_done(self) -> bool:
        """Whether the step's effect stands."""
        return self.state is StepState.SUCCEEDED

    @property
    def is_broken(self) -> bool:
        """Whether the step ended without its effect, so that the run cannot be completed."""
        return self.state in (StepState.FAILED, StepState.CANCELLED)

    def after(self, event: StepEvent) -> StepState:
        """The state that the event leads to, or `IllegalTransition`."""
        try:
            return STEP_TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalTransition("step", self.name, self.state, event) from None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a workflow.

    `remaining` counts the steps that have not succeeded and `active` those with a task under way,
    so that neither needs a look at every step. `completions` numbers the steps as they succeed,
    `events` the entries of the run's history. `cancelled` remembers that somebody asked for the
    end.
    """

    id: RunId
    workflow: Workflow
    input: Json
    created_at: datetime
    remaining: int
    state: RunState = RunState.RUNNING
    version: int = 1
    steps: Mapping[str, StepRun] = field(default_factory=dict)
    active: int = 0
    completions: int = 0
    events: int = 0
    cancelled: bool = False
    output: Json = None
    failure: Failure | None = None
    ended_at: datetime | None = None
    key: str | None = None

    @classmethod
    def of(
        cls, id: RunId, workflow: Workflow, input: Json, now: datetime, key: str | None = None
    ) -> Run:
        """A new run in which nothing has started yet."""
        return cls(
            id=id,
            workflow=workflow,
            input=input,
            created_at=now,
            remaining=len(workflow.steps),
            steps={step.name: StepRun(step.name) for step in workflow.steps},
            key=key,
        )

    @property
    def scope(self) -> Scope:
        """What the expressions of the workflow can see at this point."""
        return scope_of(self.input, self.steps)

    def asks_the_same_as(self, other: Run) -> bool:
        """Whether a repeated key stands for a repeated request.

        A request by name gets the latest version, so a later one may well mean another version.
        """
        mine, theirs = self.workflow, other.workflow
        if mine.name != theirs.name or not same_json(self.input, other.input):
            return False
        return mine.version != theirs.version or same_workflow(mine, theirs)

    def after(self, event: RunEvent, state: RunState | None = None) -> RunState:
        """The state that the event leads to, from this one or `state`, or `IllegalTransition`."""
        state = state or self.state
        try:
            return RUN_TRANSITIONS[state][event]
        except KeyError:
            raise IllegalTransition("run", self.id, state, event) from None


def scope_of(input: Json, steps: Mapping[str, StepRun]) -> Scope:
    """What expressions can see when the steps of a run are in these states.

    The outputs of steps that are being undone, or are undone, stay visible: an earlier undo may
    refer to them.
    """
    outputs = {step.name: step.output for step in steps.values() if step.completed is not None}
    return Scope(input, outputs)
