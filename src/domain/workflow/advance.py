"""How a run advances: a pure function from (run, event) to (run, commands).

Nothing here does anything. The caller sees to it that nobody else moves the run, calls `advance`,
and in the same transaction stores the run, carries out the commands and appends the facts to the
run's history. Because each step's task has an id derived from run and step, carrying a command out
twice starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cueline.domain.copying import changed
from cueline.domain.errors import ExpressionError
from cueline.domain.events import Event, Subject
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose
from cueline.domain.json import Json
from cueline.domain.workflow.compensation import undo_order
from cueline.domain.workflow.expression import Scope, render, render_object
from cueline.domain.workflow.messages import (
    Begin,
    CancelRun,
    Command,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunInput,
    StartTask,
    TaskCancelled,
    TaskFailed,
    TaskSucceeded,
    WithdrawTasks,
)
from cueline.domain.workflow.run import (
    Run,
    RunEvent,
    RunState,
    StepEvent,
    StepRun,
    StepState,
    scope_of,
)


@dataclass(frozen=True, slots=True)
class Advance:
    """What `advance` answers: the run as it now stands, what to do, and what to remember."""

    run: Run
    commands: tuple[Command, ...] = ()
    facts: tuple[Event, ...] = ()


def advance(run: Run, event: RunInput, now: datetime) -> Advance:
    """Advance a run by one event.

    A request that the run's state does not allow raises `IllegalTransition`. A report of a task
    that the run no longer waits for changes nothing.
    """
    return _Advancing(run, now).take(event)


class _Advancing:
    """One call of `advance`: the run as it is being changed, and what has been gathered so far.

    The steps are copied once, however many of them an event changes.
    """

    def __init__(self, run: Run, now: datetime) -> None:
        self.before = run
        self.workflow = run.workflow
        self.now = now
        self.state = run.state
        self.steps = dict(run.steps)
        self.active = run.active
        self.remaining = run.remaining
        self.completions = run.completions
        self.cancelled = run.cancelled
        self.output = run.output
        self.failure = run.failure
        self.ended_at = run.ended_at
        self.commands: list[Command] = []
        self.facts: list[Event] = []
        self._visible: Scope | None = None

    def take(self, event: RunInput) -> Advance:
        match event:
            case Begin():
                self._fact("run.started", {"workflow": self.workflow.name})
                self._start_ready(self.workflow.needs)
            case TaskSucceeded() | TaskFailed() | TaskCancelled():
                if not self._awaits(event.step, event.purpose):
                    return Advance(self.before)
                self._take_report(event)
            case PauseRun():
                self._move(RunEvent.PAUSE)
            case ResumeRun():
                self._move(RunEvent.RESUME)
                self._go_on(self.workflow.needs, self._first_broken())
            case CancelRun():
                self._cancel()
            case RetryRun():
                self._retry()
        return Advance(self._after(), tuple(self.commands), tuple(self.facts))

    def _after(self) -> Run:
        return changed(
            self.before,
            version=self.before.version + 1,
            events=self.before.events + len(self.facts),
            state=self.state,
            steps=self.steps,
            active=self.active,
            remaining=self.remaining,
            completions=self.completions,
            cancelled=self.cancelled,
            output=self.output,
            failure=self.failure,
            ended_at=self.ended_at,
        )

    # --- reports of tasks -------------------------------------------------------------------------

    def _awaits(self, step: str, purpose: Purpose) -> bool:
        expected = StepState.RUNNING if purpose is Purpose.WORK else StepState.COMPENSATING
        return step in self.steps and self.steps[step].state is expected

    def _take_report(self, event: TaskSucceeded | TaskFailed | TaskCancelled) -> None:
        if event.purpose is Purpose.UNDO:
            self._take_undo_report(event)
            return
        match event:
            case TaskSucceeded():
                self.completions += 1
                self._step(
                    event.step, StepEvent.SUCCEED, output=event.output, completed=self.completions
                )
                self._go_on(self.workflow.dependents[event.step])
            case TaskFailed():
                self._go_on((), self._step(event.step, StepEvent.FAIL, failure=event.failure))
            case TaskCancelled():
                self._go_on((), self._step(event.step, StepEvent.CANCEL))

    def _take_undo_report(self, event: TaskSucceeded | TaskFailed | TaskCancelled) -> None:
        match event:
            case TaskSucceeded():
                self._step(event.step, StepEvent.UNDONE)
            case TaskFailed():
                self._step(event.step, StepEvent.FAIL_UNDO, failure=event.failure)
            case TaskCancelled():
                cancelled = Failure("Cancelled", "the task that undoes this step was cancelled")
                self._step(event.step, StepEvent.FAIL_UNDO, failure=cancelled)
        self._go_on(())

    # --- requests ---------------------------------------------------------------------------------

    def _cancel(self) -> None:
        self._move(RunEvent.CANCEL)
        self.cancelled = True
        self._withdraw(running=True)
        self._go_on(())

    def _retry(self) -> None:
        undoing = self.state is RunState.COMPENSATION_FAILED
        self.ended_at = None
        self.failure = self.failure if undoing else None
        self._move(RunEvent.RETRY)
        if undoing:
            self._undo(self._with_state(StepState.COMPENSATION_FAILED)[0])
            return
        for name in [step.name for step in self.steps.values() if step.is_broken]:
            self._step(name, StepEvent.RESET)
        self._go_on(self.workflow.needs)

    # --- what follows -----------------------------------------------------------------------------

    def _go_on(self, candidates: Iterable[str], broken: StepRun | None = None) -> None:
        """Do what the state of the run calls for.

        `candidates` are the steps that may be ready, `broken` is one that ended without its
        effect. A run that is not paused compensates as soon as there is one, so nobody has to
        look for others, except when a paused run goes on.
        """
        if self.state is RunState.RUNNING:
            self._start_ready(candidates, broken)
        if self.state is RunState.COMPENSATING and self.active == 0:
            self._compensate()

    def _start_ready(self, candidates: Iterable[str], broken: StepRun | None = None) -> None:
        for name in candidates:
            if broken is not None:
                break
            if self._is_ready(name):
                broken = self._start(name)
        if broken is not None:
            self._begin_compensation(broken)
        elif self.remaining == 0:
            self._complete()

    def _first_broken(self) -> StepRun | None:
        return next((step for step in self.steps.values() if step.is_broken), None)

    def _is_ready(self, name: str) -> bool:
        return self.steps[name].state is StepState.WAITING and all(
            self.steps[needed].is_done for needed in self.workflow.needs[name]
        )

    def _start(self, name: str) -> StepRun | None:
        """Start a step; answer it as broken if its input cannot be made."""
        try:
            rendered = render_object(self.workflow.by_name[name].input, self._scope())
        except ExpressionError as error:
            return self._step(name, StepEvent.FAIL, failure=Failure.of(error))
        started = self._step(name, StepEvent.START)
        self.commands.append(StartTask(name, Purpose.WORK, rendered, again=started.starts > 1))
        return None

    def _complete(self) -> None:
        try:
            self.output = render(self.workflow.output, self._scope())
        except ExpressionError as error:
            self._compensate_for(Failure.of(error))
            return
        self._end(RunEvent.COMPLETE)

    def _begin_compensation(self, broken: StepRun) -> None:
        self._compensate_for(
            broken.failure or Failure("Cancelled", f"step {broken.name!r} was cancelled")
        )

    def _compensate_for(self, failure: Failure) -> None:
        self.failure = failure
        self._move(RunEvent.COMPENSATE)
        self._withdraw(running=False)
        self._go_on(())

    def _withdraw(self, *, running: bool) -> None:
        steps = tuple(step.name for step in self._with_state(StepState.RUNNING))
        if steps:
            self.commands.append(WithdrawTasks(steps, running))

    def _compensate(self) -> None:
        """Undo the next step, or end the run when nothing is left to undo."""
        if self._with_state(StepState.COMPENSATION_FAILED):
            self._end(RunEvent.FAIL_COMPENSATION)
            return
        left = undo_order(self.steps, self.workflow.by_name)
        if left:
            self._undo(self.steps[left[0]])
        elif self.cancelled:
            self._end(RunEvent.END_CANCELLED)
        elif self._with_state(StepState.COMPENSATED):
            self._end(RunEvent.END_COMPENSATED)
        else:
            self._end(RunEvent.FAIL)

    def _undo(self, step: StepRun) -> None:
        compensate = self.workflow.by_name[step.name].compensate
        if compensate is None:
            return
        try:
            rendered = render_object(compensate.input, self._scope())
        except ExpressionError as error:
            self._step(step.name, StepEvent.FAIL_UNDO, failure=Failure.of(error))
            self._compensate()
            return
        started = self._step(step.name, StepEvent.UNDO)
        self.commands.append(
            StartTask(step.name, Purpose.UNDO, rendered, again=started.undo_starts > 1)
        )

    # --- moves ------------------------------------------------------------------------------------

    def _scope(self) -> Scope:
        if self._visible is None:
            self._visible = scope_of(self.before.input, self.steps)
        return self._visible

    def _with_state(self, state: StepState) -> list[StepRun]:
        return [step for step in self.steps.values() if step.state is state]

    def _move(self, event: RunEvent) -> None:
        self.state = self.before.after(event, self.state)
        self._fact(f"run.{self.state}", self._error(self.failure))

    def _end(self, event: RunEvent) -> None:
        self.ended_at = self.now
        self._move(event)

    def _step(
        self,
        name: str,
        event: StepEvent,
        *,
        output: Json = None,
        completed: int | None = None,
        failure: Failure | None = None,
    ) -> StepRun:
        before = self.steps[name]
        changes: dict[str, object] = {"state": before.after(event)}
        if (remembered := _REMEMBERED.get(event)) is not None:
            changes |= remembered(before, self.now)
        if completed is not None:
            changes |= {"output": output, "completed": completed}
            self._visible = None
        if failure is not None:
            changes["failure"] = failure
        after = self.steps[name] = changed(before, **changes)
        self.active += after.in_flight - before.in_flight
        self.remaining += before.is_done - after.is_done
        self._fact(f"step.{_PAST[event]}", {"step": name, **self._error(failure)})
        return after

    def _fact(self, type: str, data: Mapping[str, Json]) -> None:
        sequence = self.before.events + len(self.facts) + 1
        self.facts.append(Event(Subject.RUN, self.before.id, sequence, type, self.now, data))

    @staticmethod
    def _error(failure: Failure | None) -> dict[str, Json]:
        return {} if failure is None else {"error": failure.summary}


def _began(step: StepRun, now: datetime) -> dict[str, object]:
    return {"starts": step.starts + 1, "started_at": now, "ended_at": None}


def _ended(_step: StepRun, now: datetime) -> dict[str, object]:
    return {"ended_at": now}


def _reset(_step: StepRun, _now: datetime) -> dict[str, object]:
    return {"started_at": None, "ended_at": None, "failure": None}


def _undo_began(step: StepRun, _now: datetime) -> dict[str, object]:
    return {"undo_starts": step.undo_starts + 1, "failure": None}


_REMEMBERED: Mapping[StepEvent, Callable[[StepRun, datetime], dict[str, object]]] = {
    StepEvent.START: _began,
    StepEvent.SUCCEED: _ended,
    StepEvent.FAIL: _ended,
    StepEvent.CANCEL: _ended,
    StepEvent.RESET: _reset,
    StepEvent.UNDO: _undo_began,
}
"""What a step remembers of an event, beyond its new state."""

_PAST: Mapping[StepEvent, str] = {
    StepEvent.START: "started",
    StepEvent.SUCCEED: "succeeded",
    StepEvent.FAIL: "failed",
    StepEvent.CANCEL: "cancelled",
    StepEvent.RESET: "reset",
    StepEvent.UNDO: "compensating",
    StepEvent.UNDONE: "compensated",
    StepEvent.FAIL_UNDO: "compensation_failed",
}
"""How the history tells each event."""
