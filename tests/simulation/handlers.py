"""What the simulated tasks do: what their input says, and every execution is noted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from cueline.application.context import Context, Snooze
from cueline.application.ports.runtime import Executor
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import PermanentError
from cueline.domain.identifiers import TaskId
from cueline.domain.json import Json, JsonObject
from cueline.domain.task import Task

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["label"],
    "properties": {"label": {"type": "string"}},
}

DEFINITIONS = (
    TaskDefinition("work", SCHEMA),
    TaskDefinition("bulk", SCHEMA, queue="bulk"),
    TaskDefinition("undo", SCHEMA, queue="bulk", timeout=timedelta(seconds=30)),
)
QUEUES = ("bulk", "default")

INDIGESTIBLE = "indigestible"
"""What no store takes, as PostgreSQL takes no NUL in a text."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a handler does, as its task's input says.

    It takes `seconds`; so many first attempts fail, hang until they time out, or snooze;
    `permanent` makes a failure one for good; told to stop, it goes on for `stubborn` seconds.
    What is `endless` goes on until it is stopped; what an `indigestible` one answers, no store
    takes.
    """

    label: str
    seconds: float = 0.1
    fails: int = 0
    hangs: int = 0
    snoozes: int = 0
    permanent: bool = False
    reports: int = 0
    stubborn: float = 0.0
    endless: bool = False
    indigestible: bool = False

    def as_input(self) -> dict[str, Json]:
        """The input that asks for it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, input: JsonObject) -> Behaviour:
        """What an input asks for; what has been made of other tasks' outputs is left aside."""
        known = {name: value for name, value in input.items() if name in cls.__slots__}
        return replace(cls(""), **known)  # type: ignore[arg-type]


@dataclass(slots=True)
class Execution:
    """One call of a handler: when it began, when it brought its result, and when it was over."""

    task: Task
    host: str
    began: float
    ended: float | None = None
    over: float | None = None


class Executions:
    """Every call of a handler, in every process."""

    def __init__(self) -> None:
        self.all: list[Execution] = []
        self.completed: dict[TaskId, int] = {}
        self.under_way: dict[str, dict[int, Execution]] = {}
        self.crowded: list[str] = []

    def begin(self, execution: Execution, slots: int) -> None:
        """A handler is called."""
        self.all.append(execution)
        present = self.under_way.setdefault(execution.host, {})
        present[id(execution)] = execution
        if len(present) > slots:
            self.crowded.append(f"{execution.host} has {slots} slots and executes {len(present)}")

    def end(self, execution: Execution, now: float) -> None:
        """A handler is over, however."""
        execution.over = now
        del self.under_way[execution.host][id(execution)]

    @property
    def duplicates(self) -> int:
        """How often a handler came to its end again, although it had done so for this task."""
        return sum(count - 1 for count in self.completed.values() if count > 1)


class SimulatedExecutor(Executor):
    """Runs the handlers of one process."""

    def __init__(
        self, host: str, slots: int, executions: Executions, alive: Callable[[], None]
    ) -> None:
        self._host = host
        self._slots = slots
        self._executions = executions
        self._alive = alive

    @property
    def names(self) -> frozenset[str]:
        return frozenset(definition.name for definition in DEFINITIONS)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def execute(self, task: Task, context: Context) -> Json:
        self._alive()
        behaviour = Behaviour.of(task.spec.input)
        now = asyncio.get_running_loop().time
        execution = Execution(task, self._host, now())
        self._executions.begin(execution, self._slots)
        try:
            await self._work(behaviour, task, context)
            self._alive()
            execution.ended = now()
        finally:
            self._executions.end(execution, now())
        completed = self._executions.completed
        completed[task.id] = completed.get(task.id, 0) + 1
        output: dict[str, Json] = {"attempt": task.attempt, "token": task.version}
        if behaviour.indigestible:
            output[INDIGESTIBLE] = True
        return {"label": behaviour.label, **output}

    async def _work(self, behaviour: Behaviour, task: Task, context: Context) -> None:
        hangs = task.attempt <= behaviour.hangs and task.spec.timeout is not None
        if hangs or behaviour.endless:
            await asyncio.get_running_loop().create_future()
        for number in range(behaviour.reports):
            context.progress(100 * number / behaviour.reports)
        try:
            await asyncio.sleep(behaviour.seconds)
        except asyncio.CancelledError:
            if not behaviour.stubborn:
                raise
            self._alive()
            await asyncio.sleep(behaviour.stubborn)
        if task.attempt <= behaviour.snoozes:
            raise Snooze(behaviour.seconds)
        if behaviour.permanent:
            raise PermanentError("it says so")
        if task.attempt <= behaviour.fails:
            raise cast("Exception", RuntimeError("it says so"))
