"""Whatever the graph, whatever happens to its tasks and in whatever order: what must hold, holds.

A tiny interpreter carries out the commands of a run the way the application does, in an order that
hypothesis chooses, and watches.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from cueline.domain.errors import IllegalTransition
from cueline.domain.events import Event
from cueline.domain.identifiers import Purpose
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.messages import (
    Begin,
    CancelRun,
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
from cueline.domain.workflow.run import Run, RunState, StepState
from tests.unit.domain.factories import NOW, a_failure, a_run, a_step, modest

MISSING = {"x": "${input.missing}"}
REQUESTS: tuple[RunInput, ...] = (PauseRun(), ResumeRun(), CancelRun(), RetryRun())

STATE_AFTER = {
    "started": StepState.RUNNING,
    "succeeded": StepState.SUCCEEDED,
    "failed": StepState.FAILED,
    "cancelled": StepState.CANCELLED,
    "reset": StepState.WAITING,
    "compensating": StepState.COMPENSATING,
    "compensated": StepState.COMPENSATED,
    "compensation_failed": StepState.COMPENSATION_FAILED,
}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Step, ...]:
    """Any acyclic graph, in any order; some steps can be undone, some inputs cannot be made."""
    names = "abcdefg"[: draw(st.integers(1, 7))]
    steps: list[Step] = []
    for at, name in enumerate(names):
        wish = draw(st.integers(0, 2**at - 1))
        after = [earlier for bit, earlier in enumerate(names[:at]) if wish >> bit & 1]
        kind = draw(st.integers(0, 29))
        undo = Compensation("undo", MISSING if kind == 1 else {}) if kind % 3 else None
        steps.append(a_step(name, *after, input=MISSING if kind == 0 else {}, compensate=undo))
    return tuple(draw(st.permutations(steps)))


@dataclass
class Interpreter:
    """Runs the tasks that a run asks for: each is queued, may be claimed, and ends somehow."""

    run: Run
    chance: random.Random
    failing: float
    queued: set[tuple[str, Purpose]] = field(default_factory=set)
    claimed: set[tuple[str, Purpose]] = field(default_factory=set)
    withdrawn: list[str] = field(default_factory=list)
    past: list[RunInput] = field(default_factory=list)
    starts: list[StartTask] = field(default_factory=list)
    facts: list[Event] = field(default_factory=list)
    retries: int = 0

    @property
    def busy(self) -> bool:
        return bool(self.queued or self.claimed or self.withdrawn)

    def tell(self, event: RunInput) -> None:
        before = self.run
        advanced = advance(before, event, NOW)
        assert advanced.run.version == before.version + 1
        self.run = advanced.run
        self.facts.extend(advanced.facts)
        for command in advanced.commands:
            match command:
                case StartTask():
                    self._start(command)
                case WithdrawTasks():
                    self._withdraw(command)
        self._check_counters()

    def act(self) -> None:
        """Let something happen to one of the tasks, or repeat something that has happened."""
        actions: list[Callable[[], None]] = []
        if self.queued:
            actions += [self._claim]
        if self.claimed:
            actions += [self._end, self._end]
        if self.withdrawn:
            actions += [self._report_withdrawal]
        if self.past:
            actions += [self._repeat]
        self.chance.choice(actions)()

    def request(self, event: RunInput) -> None:
        """Ask for something; a refusal changes nothing."""
        before = self.run
        try:
            self.tell(event)
        except IllegalTransition:
            assert self.run is before
        else:
            self.retries += isinstance(event, RetryRun)

    def _start(self, command: StartTask) -> None:
        task = (command.step, command.purpose)
        assert task not in self.queued | self.claimed, "it is under way"
        assert command.step not in self.withdrawn, "its cancellation has not been reported"
        earlier = [start for start in self.starts if (start.step, start.purpose) == task]
        assert command.again == bool(earlier), "only what had started starts again"
        if command.purpose is Purpose.WORK:
            steps = self.run.steps
            assert all(steps[need].is_done for need in self.run.workflow.needs[command.step])
        self.starts.append(command)
        self.queued.add(task)

    def _withdraw(self, command: WithdrawTasks) -> None:
        for step in command.steps:
            task = (step, Purpose.WORK)
            if task in self.queued or (command.running and task in self.claimed):
                self.queued.discard(task)
                self.claimed.discard(task)
                self.withdrawn.append(step)

    def _claim(self) -> None:
        task = self.chance.choice(sorted(self.queued))
        self.queued.remove(task)
        self.claimed.add(task)

    def _end(self) -> None:
        task = self.chance.choice(sorted(self.claimed))
        self.claimed.remove(task)
        self._report(self._outcome(*task))

    def _outcome(self, step: str, purpose: Purpose) -> RunInput:
        if self.chance.random() >= self.failing:
            return TaskSucceeded(step, purpose, {"of": step})
        if self.chance.random() < 0.3:
            return TaskCancelled(step, purpose)
        return TaskFailed(step, purpose, a_failure())

    def _report_withdrawal(self) -> None:
        step = self.withdrawn.pop(self.chance.randrange(len(self.withdrawn)))
        self._report(TaskCancelled(step, Purpose.WORK))

    def _report(self, report: RunInput) -> None:
        self.past.append(report)
        self.tell(report)

    def _repeat(self) -> None:
        """Tell once more what was told; the store's version check stops it while it matters."""
        report = self.chance.choice(self.past)
        assert isinstance(report, (TaskSucceeded, TaskFailed, TaskCancelled))
        task = (report.step, report.purpose)
        if task in self.queued | self.claimed or report.step in self.withdrawn:
            return
        answer = advance(self.run, report, NOW)
        assert answer.run is self.run
        assert not answer.commands
        assert not answer.facts

    def _check_counters(self) -> None:
        steps = self.run.steps.values()
        assert self.run.remaining == sum(not step.is_done for step in steps)
        assert self.run.active == sum(step.in_flight for step in steps)
        assert self.run.active == len(self.queued) + len(self.claimed) + len(self.withdrawn)
        assert self.run.events == len(self.facts)


def play(
    steps: tuple[Step, ...], chance: random.Random, failing: float, requests: int
) -> Interpreter:
    """Run the graph to its end, with some requests on the way."""
    interpreter = Interpreter(a_run(*steps, input={}), chance, failing)
    interpreter.tell(Begin())
    while not interpreter.run.state.ended or requests:
        if requests and (interpreter.run.state.ended or chance.random() < 0.2):
            requests -= 1
            ended = interpreter.run.state.ended
            interpreter.request(RetryRun() if ended else chance.choice(REQUESTS))
        elif interpreter.busy:
            interpreter.act()
        else:
            assert interpreter.run.state is RunState.PAUSED, "nothing is under way: it is stuck"
            interpreter.tell(ResumeRun())
    assert not interpreter.busy, "a run that has ended has nothing under way"
    return interpreter


def fold(facts: list[Event], run: Run) -> tuple[RunState, dict[str, StepState]]:
    """What the history says of where run and steps stand."""
    state = RunState.RUNNING
    steps = dict.fromkeys(run.steps, StepState.WAITING)
    for fact in facts:
        subject, _, what = fact.type.partition(".")
        if subject == "step":
            steps[str(fact.data["step"])] = STATE_AFTER[what]
        elif what != "started":
            state = RunState(what)
    return state, steps


def told_of(facts: list[Event], type: str) -> list[str]:
    return [str(fact.data["step"]) for fact in facts if fact.type == type]


many = settings(modest, max_examples=200)
failing = st.sampled_from([0.0, 0.1, 0.2, 0.4])
chances = st.randoms(use_true_random=False)


@many
@given(graphs(), chances, failing, st.integers(0, 6))
def test_a_run_keeps_its_promises(
    steps: tuple[Step, ...], chance: random.Random, failing: float, requests: int
) -> None:
    played = play(steps, chance, failing, requests)
    run = played.run
    assert run.state.ended
    check_starts(played)
    check_compensation(played)
    assert [fact.sequence for fact in played.facts] == list(range(1, run.events + 1))
    assert fold(played.facts, run) == (
        run.state,
        {step.name: step.state for step in run.steps.values()},
    )


def check_starts(played: Interpreter) -> None:
    """A step starts at most once, and once more for each time that the run was retried."""
    starts = Counter((start.step, start.purpose) for start in played.starts)
    assert all(count <= 1 + played.retries for count in starts.values())
    for step in played.run.steps.values():
        assert step.starts == starts[step.name, Purpose.WORK]
        assert step.undo_starts == starts[step.name, Purpose.UNDO]


def check_compensation(played: Interpreter) -> None:
    """What was undone is what could be, in the reverse order of completion."""
    run = played.run
    completed = told_of(played.facts, "step.succeeded")
    assert len(completed) == len(set(completed)), "a step succeeds once"
    due = [name for name in reversed(completed) if run.workflow.by_name[name].compensate]
    # An undo that fails and is retried is told twice in a row.
    begun = [name for name, _ in groupby(told_of(played.facts, "step.compensating"))]
    undone = told_of(played.facts, "step.compensated")
    match run.state:
        case RunState.SUCCEEDED:
            assert begun == []
            assert sorted(completed) == sorted(run.steps)
        case RunState.FAILED:
            assert due == []
        case RunState.COMPENSATED:
            assert undone == begun == due != []
        case RunState.CANCELLED:
            assert undone == begun == due
            assert run.cancelled
        case RunState.COMPENSATION_FAILED:
            assert undone == due[: len(undone)]
            assert run.steps[due[len(undone)]].state is StepState.COMPENSATION_FAILED
        case going:
            raise AssertionError(f"a run that has ended is not {going}")


@many
@given(graphs(), chances)
def test_a_run_in_which_nothing_goes_wrong_starts_every_step_exactly_once(
    steps: tuple[Step, ...], chance: random.Random
) -> None:
    sound = tuple(a_step(step.name, *step.after, undo=True) for step in steps)
    played = play(sound, chance, failing=0.0, requests=0)
    assert played.run.state is RunState.SUCCEEDED
    assert sorted(start.step for start in played.starts) == sorted(step.name for step in steps)
