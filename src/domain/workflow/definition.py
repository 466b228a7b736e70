"""A workflow's definition: a graph of steps that has been checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from cueline.domain.errors import ExpressionError, InvalidDefinition, InvalidInput, Problem
from cueline.domain.identifiers import check_name
from cueline.domain.json import Json, JsonObject, require_json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.expression import references

MOST_STEPS = 1000
STEP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a workflow, and what it waits for.

    `input` is a template: its expressions are the step's data dependencies. `after` names further
    steps that must succeed first. What is None is taken from the task's own definition.
    """

    name: str
    task: str
    input: JsonObject = field(default_factory=dict)
    after: tuple[str, ...] = ()
    compensate: Compensation | None = None
    queue: str | None = None
    priority: Priority | None = None
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named and versioned graph of steps. Constructing one checks it and reports every problem.

    `needs` maps each step to the steps that must succeed before it; `dependents` is its reverse.
    `output` is a template for the output of the whole run.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    output: Json = None
    by_name: Mapping[str, Step] = field(init=False, repr=False, compare=False)
    needs: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)
    dependents: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {step.name: step for step in self.steps}
        needs = {step.name: _needs_of(step, by_name) for step in self.steps}
        problems = list(self._own_problems())
        for step in self.steps:
            problems.extend(_step_problems(step, by_name))
        problems.extend(_template_problems(self.output, "output", by_name))
        problems.extend(_cycle_problems(needs))
        if not problems:  # only now is it known what comes before what
            problems.extend(_undo_problems(self.steps, needs))
        if problems:
            raise InvalidDefinition(f"workflow {self.name[:120]!r} cannot run", problems)
        object.__setattr__(self, "by_name", by_name)
        object.__setattr__(self, "needs", needs)
        object.__setattr__(self, "dependents", _reversed(needs))

    @property
    def tasks(self) -> Iterator[tuple[str, str]]:
        """Every task name that is used, with the path where it stands."""
        for step in self.steps:
            yield f"steps.{step.name}.task", step.task
            if step.compensate is not None:
                yield f"steps.{step.name}.compensate.task", step.compensate.task

    def _own_problems(self) -> Iterator[Problem]:
        if problem := check_name(self.name, "name"):
            yield problem
        if not 1 <= self.version < 2**31:
            yield Problem("version", "use a whole number from 1")
        if not self.steps:
            yield Problem("steps", "a workflow needs at least one step")
        if len(self.steps) > MOST_STEPS:
            yield Problem(
                "steps", f"{len(self.steps)} steps are too many: use {MOST_STEPS} at most"
            )
        seen: set[str] = set()
        for step in self.steps:
            if step.name in seen:
                yield Problem(_place(step), "two steps have this name")
            seen.add(step.name)


def _place(step: Step) -> str:
    return f"steps.{step.name[:64]}"


def _step_problems(step: Step, known: Mapping[str, Step]) -> Iterator[Problem]:
    """What is wrong with a step, its place in the graph left aside."""
    where = _place(step)
    if not STEP_NAME.fullmatch(step.name):
        yield Problem(
            where, "a step's name is a letter or '_', then up to 63 letters, digits or '_'"
        )
    if step.queue is not None and (problem := check_name(step.queue, f"{where}.queue")):
        yield problem
    for index, name in enumerate(step.after):
        if name not in known:
            yield Problem(f"{where}.after[{index}]", _no_step(name, known))
    yield from _call_problems(step, where, known)
    if step.compensate is not None:
        yield from _call_problems(step.compensate, f"{where}.compensate", known)


def _call_problems(
    call: Step | Compensation, where: str, known: Mapping[str, Step]
) -> Iterator[Problem]:
    """What is wrong with the task, the input or the timeout of a step or of its undo."""
    if problem := check_name(call.task, f"{where}.task"):
        yield problem
    if call.timeout is not None and call.timeout <= timedelta(0):
        yield Problem(f"{where}.timeout", "use more than zero")
    yield from _template_problems(call.input, f"{where}.input", known)


def _template_problems(template: Json, where: str, known: Mapping[str, Step]) -> Iterator[Problem]:
    try:
        require_json(template, where)
        found = list(references(template))
    except InvalidInput as error:
        yield from error.problems
        return
    except ExpressionError as error:
        yield Problem(where, str(error))
        return
    for path, reference in found:
        if reference.step is not None and reference.step not in known:
            message = f"{reference.expression}: {_no_step(reference.step, known)}"
            yield Problem(where + path, message)


def _needs_of(step: Step, known: Mapping[str, Step]) -> frozenset[str]:
    """The steps that must succeed before this one, those left out that do not exist."""
    named = set(step.after)
    with suppress(ExpressionError):
        named.update(ref.step for _, ref in references(step.input) if ref.step is not None)
    return frozenset(named & known.keys())


def _cycle_problems(needs: Mapping[str, Iterable[str]]) -> Iterator[Problem]:
    try:
        # Sorted, so that every process names the same circle.
        TopologicalSorter({name: sorted(needed) for name, needed in needs.items()}).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        yield Problem(
            f"steps.{cycle[-1]}",
            "the steps wait for one another in a circle: " + " -> ".join(cycle),
        )


def _undo_problems(steps: Iterable[Step], needs: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """An undo may refer only to what surely has an output: its step and what that one needed."""
    lineages = _lineages(needs)
    for step in steps:
        if step.compensate is None:
            continue
        for path, reference in references(step.compensate.input):
            if reference.step is not None and lineages[reference.step] & ~lineages[step.name]:
                yield Problem(
                    f"{_place(step)}.compensate.input{path}",
                    f"{reference.expression}: step {reference.step!r} may not have run "
                    f"when {step.name!r} is undone",
                )


def _lineages(needs: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """Each step with all that must succeed before it: sets as bits, to be quick on dense graphs."""
    lineages: dict[str, int] = {}
    for number, name in enumerate(TopologicalSorter(needs).static_order()):
        lineages[name] = 1 << number
        for needed in needs[name]:
            lineages[name] |= lineages[needed]
    return lineages


def _reversed(needs: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, needed in needs.items():
        for other in needed:
            dependents[other].append(name)
    return {name: tuple(others) for name, others in dependents.items()}


def _no_step(name: str, known: Iterable[str]) -> str:
    some = ", ".join(islice(known, 20))
    return f"there is no step {name[:64]!r}; the steps are: {some or 'none'}"
