"""How a run advances: a pure function from (run, event) to (run, commands).

Nothing here does anything. The caller locks the run, calls `advance`, and in the same transaction
stores the run, carries out the commands and appends the facts to the run's history. Because each
step's task has an id derived from run and step, carrying a command out twice starts nothing twice.
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
from cueline.domain.workflow.expression import render, render_object
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
from cueline.domain.workflow.run import Run, RunEvent, RunState, StepEvent, StepRun, StepState


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
    """One call of `advance`: the run as it is being changed, and what has been gathered so far."""

    def __init__(self, run: Run, now: datetime) -> None:
        self.before = run
        self.run = run
        self.now = now
        self.commands: list[Command] = []
        self.facts: list[Event] = []

    def take(self, event: RunInput) -> Advance:
        match event:
            case Begin():
                self._fact("run.started", {"workflow": self.run.workflow.name})
                self._start_ready(self.run.workflow.needs)
            case TaskSucceeded() | TaskFailed() | TaskCancelled():
                if not self._awaits(event.step, event.purpose):
                    return Advance(self.run)
                self._take_report(event)
            case PauseRun():
                self._move(RunEvent.PAUSE)
            case ResumeRun():
                self._move(RunEvent.RESUME)
                self._go_on(self.run.workflow.needs)
            case CancelRun():
                self._cancel()
            case RetryRun():
                self._retry()
        run = changed(
            self.run,
            version=self.before.version + 1,
            events=self.before.events + len(self.facts),
        )
        return Advance(run, tuple(self.commands), tuple(self.facts))

    # --- reports of tasks -------------------------------------------------------------------------

    def _awaits(self, step: str, purpose: Purpose) -> bool:
        expected = StepState.RUNNING if purpose is Purpose.WORK else StepState.COMPENSATING
        return step in self.run.steps and self.run.steps[step].state is expected

    def _take_report(self, event: TaskSucceeded | TaskFailed | TaskCancelled) -> None:
        if event.purpose is Purpose.UNDO:
            self._take_undo_report(event)
            return
        match event:
            case TaskSucceeded():
                completions = self.run.completions + 1
                self._step(
                    event.step, StepEvent.SUCCEED, output=event.output, completed=completions
                )
                self.run = changed(self.run, completions=completions)
                self._go_on(self.run.workflow.dependents[event.step])
            case TaskFailed():
                self._step(event.step, StepEvent.FAIL, failure=event.failure)
                self._go_on(())
            case TaskCancelled():
                self._step(event.step, StepEvent.CANCEL)
                self._go_on(())

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
        self.run = changed(self.run, cancelled=True)
        self._withdraw(running=True)
        self._go_on(())

    def _retry(self) -> None:
        undoing = self.run.state is RunState.COMPENSATION_FAILED
        self.run = changed(self.run, ended_at=None, failure=self.run.failure if undoing else None)
        self._move(RunEvent.RETRY)
        if undoing:
            self._undo(self._with_state(StepState.COMPENSATION_FAILED)[0])
            return
        for name in [step.name for step in self.run.steps.values() if step.is_broken]:
            self._step(name, StepEvent.RESET)
        self._go_on(self.run.workflow.needs)

    # --- what follows -----------------------------------------------------------------------------

    def _go_on(self, candidates: Iterable[str]) -> None:
        """Do what the state of the run calls for; `candidates` are the steps that may be ready."""
        if self.run.state is RunState.RUNNING:
            self._start_ready(candidates)
        if self.run.state is RunState.COMPENSATING and self.run.active == 0:
            self._compensate()

    def _start_ready(self, candidates: Iterable[str]) -> None:
        broken = self._first_broken()
        for name in candidates:
            if broken is not None:
                break
            if self._is_ready(name):
                broken = self._start(name)
        if broken is not None:
            self._begin_compensation(broken)
        elif self.run.remaining == 0:
            self._complete()

    def _first_broken(self) -> StepRun | None:
        return next((step for step in self.run.steps.values() if step.is_broken), None)

    def _is_ready(self, name: str) -> bool:
        steps = self.run.steps
        return steps[name].state is StepState.WAITING and all(
            steps[needed].is_done for needed in self.run.workflow.needs[name]
        )

    def _start(self, name: str) -> StepRun | None:
        """Start a step; answer it as broken if its input cannot be made."""
        try:
            rendered = render_object(self.run.workflow.by_name[name].input, self.run.scope)
        except ExpressionError as error:
            return self._step(name, StepEvent.FAIL, failure=Failure.of(error))
        started = self._step(name, StepEvent.START)
        self.commands.append(StartTask(name, Purpose.WORK, rendered, again=started.starts > 1))
        return None

    def _complete(self) -> None:
        try:
            output = render(self.run.workflow.output, self.run.scope)
        except ExpressionError as error:
            self._compensate_for(Failure.of(error))
            return
        self.run = changed(self.run, output=output)
        self._end(RunEvent.COMPLETE)

    def _begin_compensation(self, broken: StepRun) -> None:
        self._compensate_for(
            broken.failure or Failure("Cancelled", f"step {broken.name!r} was cancelled")
        )

    def _compensate_for(self, failure: Failure) -> None:
        self.run = changed(self.run, failure=failure)
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
        left = undo_order(self.run.steps, self.run.workflow.by_name)
        if left:
            self._undo(self.run.steps[left[0]])
        elif self.run.cancelled:
            self._end(RunEvent.END_CANCELLED)
        elif self._with_state(StepState.COMPENSATED):
            self._end(RunEvent.END_COMPENSATED)
        else:
            self._end(RunEvent.FAIL)

    def _undo(self, step: StepRun) -> None:
        compensate = self.run.workflow.by_name[step.name].compensate
        if compensate is None:
            return
        try:
            rendered = render_object(compensate.input, self.run.scope)
        except ExpressionError as error:
            self._step(step.name, StepEvent.FAIL_UNDO, failure=Failure.of(error))
            self._compensate()
            return
        started = self._step(step.name, StepEvent.UNDO)
        self.commands.append(
            StartTask(step.name, Purpose.UNDO, rendered, again=started.undo_starts > 1)
        )

    # --- moves ------------------------------------------------------------------------------------

    def _with_state(self, state: StepState) -> list[StepRun]:
        return [step for step in self.run.steps.values() if step.state is state]

    def _move(self, event: RunEvent) -> None:
        state = self.run.after(event)
        self.run = changed(self.run, state=state)
        self._fact(f"run.{state}", self._error(self.run.failure))

    def _end(self, event: RunEvent) -> None:
        self.run = changed(self.run, ended_at=self.now)
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
        before = self.run.steps[name]
        change = _CHANGES.get(event)
        after = changed(before, state=before.after(event))
        if change is not None:
            after = change(after, self.now)
        if completed is not None:
            after = changed(after, output=output, completed=completed)
        if failure is not None:
            after = changed(after, failure=failure)
        self.run = self.run.with_step(after)
        self._fact(f"step.{_PAST[event]}", {"step": name, **self._error(failure)})
        return after

    def _fact(self, type: str, data: Mapping[str, Json]) -> None:
        sequence = self.before.events + len(self.facts) + 1
        self.facts.append(Event(Subject.RUN, self.run.id, sequence, type, self.now, data))

    @staticmethod
    def _error(failure: Failure | None) -> dict[str, Json]:
        return {} if failure is None else {"error": failure.summary}


def _began(step: StepRun, now: datetime) -> StepRun:
    return changed(step, starts=step.starts + 1, started_at=now, ended_at=None)


def _ended(step: StepRun, now: datetime) -> StepRun:
    return changed(step, ended_at=now)


def _reset(step: StepRun, _now: datetime) -> StepRun:
    return changed(step, started_at=None, ended_at=None, failure=None)


def _undo_began(step: StepRun, _now: datetime) -> StepRun:
    return changed(step, undo_starts=step.undo_starts + 1, failure=None)


_CHANGES: Mapping[StepEvent, Callable[[StepRun, datetime], StepRun]] = {
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
