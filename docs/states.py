"""The page of the state machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from cueline.domain.task import TRANSITIONS, TaskEvent, TaskState
from cueline.domain.worker import WORKER_TRANSITIONS, WorkerEvent, WorkerState
from cueline.domain.workflow.run import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunEvent,
    RunState,
    StepEvent,
    StepState,
)

State = TypeVar("State", bound=StrEnum)
Happening = TypeVar("Happening", bound=StrEnum)


@dataclass(frozen=True)
class Machine(Generic[State, Happening]):
    """Something with states: its transition table, where it begins and ends, and what moves it."""

    title: str
    prose: str
    transitions: Mapping[State, Mapping[Happening, State]]
    begins: State
    ends: frozenset[State]
    meanings: Mapping[Happening, str]


TASK = Machine(
    title="Task",
    prose="""\
A task that is queued for a time that is still ahead is shown as *scheduled*; the state is the same.
A failed attempt, a timeout and a lost worker are one thing to the table: a *retry* or a *fail*, as
the retry policy decides. A failed task is the dead letter. Every transition raises the task's
version by one, and a store accepts it only in place of the version before it.""",
    transitions=TRANSITIONS,
    begins=TaskState.QUEUED,
    ends=frozenset(state for state in TaskState if state.ended),
    meanings={
        TaskEvent.CLAIM: "a worker takes the task and begins an attempt",
        TaskEvent.SUCCEED: "the attempt brought a result",
        TaskEvent.RETRY: "the attempt failed, and the policy allows another",
        TaskEvent.FAIL: "the attempt failed, and it was the last or the error is permanent",
        TaskEvent.SNOOZE: "the handler asks to be called again later",
        TaskEvent.RELEASE: "a worker that shuts down gives the task back",
        TaskEvent.CANCEL: "nobody wants the result any more",
        TaskEvent.PROMOTE: "an operator wants it now, not at the time that was set",
        TaskEvent.REQUEUE: "an operator gives the ended task a new life",
    },
)

WORKER = Machine(
    title="Worker",
    prose="""\
Only a live worker may hold tasks. Its lease is one row, however many tasks it holds. When the lease
has lapsed, the worker may be evicted; its tasks then go to others under new versions. A lost worker
that renews is told by `WorkerEvicted` that it must register anew.""",
    transitions=WORKER_TRANSITIONS,
    begins=WorkerState.LIVE,
    ends=frozenset({WorkerState.STOPPED, WorkerState.LOST}),
    meanings={
        WorkerEvent.RENEW: "a heartbeat extends the lease",
        WorkerEvent.STOP: "the worker says goodbye, holding nothing",
        WorkerEvent.EVICT: "the lease has lapsed",
    },
)

RUN = Machine(
    title="Run",
    prose="""\
A run is one execution of a workflow. When a step breaks, what is queued is withdrawn and what runs
is waited for. Then the steps that succeeded are undone one by one, the last to complete first.""",
    transitions=RUN_TRANSITIONS,
    begins=RunState.RUNNING,
    ends=frozenset(state for state in RunState if state.ended),
    meanings={
        RunEvent.PAUSE: "an operator wants no further step to start",
        RunEvent.RESUME: "an operator lets it go on",
        RunEvent.CANCEL: "an operator wants it stopped and undone",
        RunEvent.RETRY: "an operator tries again what failed",
        RunEvent.COMPLETE: "every step has succeeded",
        RunEvent.COMPENSATE: "a step broke, or the output could not be made",
        RunEvent.FAIL: "there was nothing to undo",
        RunEvent.END_COMPENSATED: "everything that could be undone has been",
        RunEvent.END_CANCELLED: "the same, after it was cancelled",
        RunEvent.FAIL_COMPENSATION: "an undo failed",
    },
)

STEP = Machine(
    title="Step",
    prose="""\
A step has one task that does its work and, if it can be undone, one that undoes it. A step that
cannot be undone stays *succeeded* when its run is compensated.""",
    transitions=STEP_TRANSITIONS,
    begins=StepState.WAITING,
    ends=frozenset(
        {
            StepState.SUCCEEDED,
            StepState.FAILED,
            StepState.CANCELLED,
            StepState.COMPENSATED,
            StepState.COMPENSATION_FAILED,
        }
    ),
    meanings={
        StepEvent.START: "all that it needs has succeeded, and its task is submitted",
        StepEvent.SUCCEED: "its task succeeded",
        StepEvent.FAIL: "its task failed for good, or its input could not be made",
        StepEvent.CANCEL: "its task was cancelled",
        StepEvent.RESET: "the run is retried",
        StepEvent.UNDO: "the run is compensated, and it is this step's turn",
        StepEvent.UNDONE: "the task that undoes it succeeded",
        StepEvent.FAIL_UNDO: "the task that undoes it failed, or its input could not be made",
    },
)

MACHINES: tuple[Machine[Any, Any], ...] = (TASK, WORKER, RUN, STEP)


def states_page() -> str:
    """The page of the state machines."""
    return "\n".join(
        [
            "# States",
            "",
            "<!-- Written by `make docs` from the tables in src/domain; a change here is lost. -->",
            "",
            "What can happen to a task, a worker, a run and a step, and where it leads. An event",
            "that is not in the table for a state raises `IllegalTransition`, which names both.",
            *(line for machine in MACHINES for line in _section(machine)),
            "",
        ]
    )


def _section(machine: Machine[Any, Any]) -> Iterator[str]:
    yield from ("", f"## {machine.title}", "", machine.prose, "")
    yield from ("```mermaid", "stateDiagram-v2", f"    [*] --> {machine.begins}")
    yield from (f"    {arrow}" for arrow in _arrows(machine))
    yield from (f"    {state} --> [*]" for state in machine.transitions if state in machine.ends)
    yield from ("```", "", "| in state | event | leads to | when |", "|---|---|---|---|")
    for state, row in machine.transitions.items():
        for event, after in row.items():
            yield f"| {state} | {event} | {after} | {machine.meanings[event]} |"


def _arrows(machine: Machine[Any, Any]) -> Iterator[str]:
    """One arrow for each pair of states, with all the events that lead from one to the other."""
    for state, row in machine.transitions.items():
        for after in dict.fromkeys(row.values()):
            events = ", ".join(event for event, leads_to in row.items() if leads_to is after)
            yield f"{state} --> {after}: {events}"
