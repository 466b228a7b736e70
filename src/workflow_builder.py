"""Writing a workflow in Python: steps that refer to one another's outputs.

What is built is the same data that a document in YAML or JSON holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import to_jsonable_python

from cueline.domain.duration import Duration, duration
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.document import parse_priority
from cueline.domain.workflow.expression import Reference

if TYPE_CHECKING:
    from cueline.app import App, RunRef, TaskHandle


class Value:
    """Something that will be known when the workflow runs: the run's input, or a step's output.

    `value.name` and `value["name"]` refer to a member, `value[0]` to an element.
    """

    __slots__ = ("_reference",)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, part: str | int) -> Value:
        return Value(Reference(self._reference.step, (*self._reference.path, part)))

    def __repr__(self) -> str:
        return self._reference.expression

    def __format__(self, _spec: str) -> str:
        raise TypeError(
            f"{self!r} is not known yet: give it to a step by itself, not within a text"
        )

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} is not known before the workflow runs; a step has to go over it")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is not known before the workflow runs; a step has to look at it")


@dataclass(frozen=True, slots=True)
class Call:
    """A task with the input that it is to have: what `TaskHandle.call` answers."""

    task: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepHandle:
    """A step of a workflow that is being written."""

    name: str

    @property
    def output(self) -> Value:
        """What the step's handler will return."""
        return Value(Reference(self.name))


Undo: TypeAlias = "TaskHandle[..., Any] | Callable[[StepHandle], Call]"


class WorkflowBuilder:
    """Gathers the steps of a workflow. `definition` checks them all, once they are complete."""

    def __init__(self, app: App, name: str, version: int) -> None:
        self._app = app
        self._name = name
        self._version = version
        self._steps: list[Step] = []
        self._output: Json = None
        self._checked: Workflow | None = None

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self._name

    @property
    def input(self) -> Value:
        """The input that a run will be started with."""
        return Value(Reference(None))

    def step(
        self,
        name: str,
        task: TaskHandle[..., Any] | str,
        /,
        *,
        inputs: Mapping[str, Any] | None = None,
        after: Sequence[StepHandle] = (),
        compensate: Undo | None = None,
        queue: str | None = None,
        priority: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        **more_inputs: Any,
    ) -> StepHandle:
        """Add a step that runs a task with these inputs, once all that it refers to is there.

        `after` names further steps to wait for. `compensate` undoes the step if the run fails:
        a task, called with the step's `input` and `output` as far as its handler takes them, or a
        function from the step to a `call`. A handler's parameter that is named like one of these
        options (`queue`, say) is given in `inputs`.
        """
        self._checked = None
        handle = StepHandle(name)
        template = as_template({**(inputs or {}), **more_inputs})
        self._steps.append(
            Step(
                name=name,
                task=task if isinstance(task, str) else task.name,
                input=template,
                after=tuple(step.name for step in after),
                compensate=_compensation(handle, template, compensate),
                queue=queue,
                priority=parse_priority(priority, "priority") if priority is not None else None,
                retry=retry,
                timeout=duration(timeout, "timeout") if timeout is not None else None,
            )
        )
        return handle

    def returns(self, output: Any) -> None:
        """Say what a run's output is, made of what its steps return."""
        self._checked = None
        self._output = _template(output)

    def definition(self) -> Workflow:
        """The checked workflow, or `InvalidDefinition` with every problem."""
        if self._checked is None:
            steps = tuple(self._steps)
            self._checked = Workflow(self._name, self._version, steps, self._output)
        return self._checked

    async def start(
        self, input: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> RunRef:
        """Start a run. With a `key`, repeating the call answers the first run."""
        return await self._app.start(self, input or {}, key=key)


def as_template(inputs: Mapping[str, Any]) -> dict[str, Json]:
    """Inputs as a workflow document holds them: values that are not known yet as expressions."""
    return {name: _template(value) for name, value in inputs.items()}


def _template(value: Any) -> Json:
    if isinstance(value, Value):
        return repr(value)
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {str(key): _template(member) for key, member in value.items()}
    if isinstance(value, (set, frozenset)):  # in an order that is the same in every process
        value = sorted(value, key=repr)
    if isinstance(value, (list, tuple)):
        return [_template(member) for member in value]
    plain: Json = to_jsonable_python(value)
    return plain if plain is value else _template(plain)


def _compensation(
    step: StepHandle, template: Mapping[str, Json], undo: Undo | None
) -> Compensation | None:
    from cueline.app import TaskHandle  # the two describe one another

    if undo is None:
        return None
    if isinstance(undo, TaskHandle):
        offered: dict[str, Json] = {"input": template, "output": repr(step.output)}
        wanted = undo.parameters
        return Compensation(undo.name, {k: v for k, v in offered.items() if k in wanted})
    call = undo(step)
    return Compensation(call.task, as_template(call.input))
