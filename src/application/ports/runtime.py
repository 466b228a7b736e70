"""Time, identifiers, chance, and the running of handlers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cueline.application.context import Context
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import Problem
from cueline.domain.json import Json, JsonObject
from cueline.domain.task import Task


class Clock(Protocol):
    """The store's time, so that a node whose own clock is wrong behaves like the others."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...


class IdGenerator(Protocol):
    """Makes identifiers that no one else makes: UUID version 7 in text form, rising with time."""

    def new(self) -> str:
        """A new identifier."""
        ...


class Chance(Protocol):
    """Makes random numbers, for jitter."""

    def __call__(self) -> float:
        """A number in [0, 1)."""
        ...


class InputChecker(Protocol):
    """Checks a task's input against its definition."""

    def check(self, definition: TaskDefinition, input: JsonObject) -> Sequence[Problem]:
        """What does not fit the definition's schema, with paths that begin with `input`."""
        ...


class Executor(Protocol):
    """Runs handlers."""

    async def open(self) -> None:
        """Begin. Constructors do no I/O; whatever is needed is done here."""
        ...

    async def close(self) -> None:
        """End; closing twice is closing once. Running handlers are not waited for."""
        ...

    @property
    def names(self) -> frozenset[str]:
        """The names of the tasks for which there is a handler."""
        ...

    async def execute(self, task: Task, context: Context) -> Json:
        """Run the task's handler on its input and answer its output.

        What the handler raises passes through. Cancelling the call interrupts an `async` handler at
        its next await; a handler in a thread cannot be interrupted and is told by
        `context.cancelled` instead.
        """
        ...
