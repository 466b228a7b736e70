"""A run that is told things one by one, and all that it answered: `advance` with a memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from cueline.domain.events import Event
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose
from cueline.domain.json import Json
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.messages import (
    Begin,
    Command,
    RunInput,
    StartTask,
    TaskCancelled,
    TaskFailed,
    TaskSucceeded,
)
from cueline.domain.workflow.run import Run, RunState, StepState
from tests.unit.domain.factories import NOW, a_failure, a_run


@dataclass
class Rehearsal:
    """Every method tells the run something and answers the rehearsal itself, so that they chain."""

    run: Run
    now: datetime = NOW
    commands: list[Command] = field(default_factory=list)
    facts: list[Event] = field(default_factory=list)
    answer: tuple[Command, ...] = ()

    @classmethod
    def of(cls, *steps: Step, input: Json = None, output: Json = None) -> Self:
        """A run of these steps that has begun."""
        return cls(a_run(*steps, input=input, output=output)).tell(Begin())

    def tell(self, event: RunInput) -> Self:
        advanced = advance(self.run, event, self.now)
        self.run = advanced.run
        self.answer = advanced.commands
        self.commands.extend(advanced.commands)
        self.facts.extend(advanced.facts)
        return self

    def succeed(self, *steps: str, output: Json = None) -> Self:
        for step in steps:
            self.tell(TaskSucceeded(step, Purpose.WORK, output))
        return self

    def fail(self, step: str, failure: Failure | None = None) -> Self:
        return self.tell(TaskFailed(step, Purpose.WORK, failure or a_failure()))

    def cancelled(self, *steps: str) -> Self:
        for step in steps:
            self.tell(TaskCancelled(step, Purpose.WORK))
        return self

    def undone(self, *steps: str) -> Self:
        for step in steps:
            self.tell(TaskSucceeded(step, Purpose.UNDO))
        return self

    def undo_fails(self, step: str) -> Self:
        return self.tell(TaskFailed(step, Purpose.UNDO, a_failure("OSError", "unreachable")))

    @property
    def state(self) -> RunState:
        return self.run.state

    @property
    def states(self) -> dict[str, StepState]:
        return {step.name: step.state for step in self.run.steps.values()}

    @property
    def told(self) -> list[str]:
        """The facts in short: `run.started`, `step.started a` ..."""
        return [" ".join([fact.type, *_step_of(fact)]) for fact in self.facts]

    @property
    def started(self) -> list[str]:
        """The steps whose work was started, in order."""
        return self._starts(Purpose.WORK)

    @property
    def undos(self) -> list[str]:
        """The steps whose undo was started, in order."""
        return self._starts(Purpose.UNDO)

    def _starts(self, purpose: Purpose) -> list[str]:
        return [
            command.step
            for command in self.commands
            if isinstance(command, StartTask) and command.purpose is purpose
        ]


def _step_of(fact: Event) -> list[str]:
    return [str(fact.data["step"])] if "step" in fact.data else []
