"""Workflows as data: the one form that REST, YAML files and the store share.

`parse_workflow` reads a document and reports every problem with its path; `workflow_document`
writes one, with what is default left out, so that equal workflows have equal documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from cueline.domain.duration import duration, duration_text
from cueline.domain.errors import InvalidDefinition, InvalidInput, Problem
from cueline.domain.json import Json, JsonObject, require_json, same_json
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow

T = TypeVar("T")

_WORKFLOW_FIELDS = frozenset({"name", "version", "steps", "output"})
_STEP_FIELDS = frozenset(
    {"task", "input", "after", "compensate", "queue", "priority", "retry", "timeout"}
)
_COMPENSATION_FIELDS = frozenset({"task", "input", "retry", "timeout"})
_RETRY_FIELDS = frozenset({"attempts", "backoff", "first", "factor", "cap", "jitter", "permanent"})


def parse_workflow(document: Json) -> Workflow:
    """Read a workflow, or raise `InvalidDefinition` with every problem and where it stands."""
    require_json(document, "workflow")
    reader = _Reader()
    fields = reader.object(document, "", _WORKFLOW_FIELDS)
    name = reader.text(fields, "name", "")
    version = reader.integer(fields, "version", "", default=1)
    raw_steps = reader.object(fields.get("steps", {}), "steps", None)
    steps = tuple(_parse_step(reader, step, value) for step, value in raw_steps.items())
    if reader.problems:
        raise InvalidDefinition("the workflow cannot be read", reader.problems)
    return Workflow(name=name, version=version, steps=steps, output=fields.get("output"))


def workflow_document(workflow: Workflow) -> dict[str, Json]:
    """Write a workflow the way `parse_workflow` reads it."""
    document: dict[str, Json] = {
        "name": workflow.name,
        "version": workflow.version,
        "steps": {step.name: _step_document(step) for step in workflow.steps},
    }
    if workflow.output is not None:
        document["output"] = workflow.output
    return document


def same_workflow(one: Workflow, other: Workflow) -> bool:
    """Whether two workflows say the same, in whatever order their steps are written down."""
    return same_json(workflow_document(one), workflow_document(other))


def parse_retry(value: Json, where: str) -> RetryPolicy:
    """Read a retry policy, or raise `InvalidInput` with every problem."""
    reader = _Reader()
    policy = _retry(reader, value, where)
    if reader.problems or policy is None:
        raise InvalidInput("the retry policy is not usable", reader.problems)
    return policy


def retry_document(policy: RetryPolicy) -> dict[str, Json]:
    """Write a retry policy, complete."""
    return {
        "attempts": policy.attempts,
        "backoff": policy.backoff.value,
        "first": duration_text(policy.first),
        "factor": policy.factor,
        "cap": duration_text(policy.cap),
        "jitter": policy.jitter,
        "permanent": sorted(policy.permanent),
    }


def parse_priority(value: Json, where: str) -> Priority:
    """Read a priority by its name, or raise `InvalidInput`."""
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return Priority[value.upper()]
    known = ", ".join(priority.label for priority in Priority)
    raise InvalidInput(
        "the priority is not usable", [Problem(where, f"{value!r} is none of: {known}")]
    )


class _Reader:
    """Reads fields and gathers what is wrong, so that one answer lists every problem."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def object(self, value: Json, where: str, fields: frozenset[str] | None) -> JsonObject:
        if not isinstance(value, Mapping):
            self.problems.append(Problem(where or "workflow", "must be an object"))
            return {}
        if fields is not None:
            for name in (name for name in value if name not in fields):
                known = ", ".join(sorted(fields))
                self.problems.append(
                    Problem(_join(where, name), f"there is no such field; the fields are: {known}")
                )
        return value

    def text(self, fields: JsonObject, name: str, where: str) -> str:
        value = fields.get(name)
        if isinstance(value, str):
            return value
        self.problems.append(Problem(_join(where, name), "must be a text"))
        return "invalid"

    def integer(self, fields: JsonObject, name: str, where: str, default: int) -> int:
        value = fields.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.problems.append(Problem(_join(where, name), "must be a whole number"))
        return default

    def number(self, fields: JsonObject, name: str, where: str, default: float) -> float:
        value = fields.get(name, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        self.problems.append(Problem(_join(where, name), "must be a number"))
        return default

    def texts(self, fields: JsonObject, name: str, where: str) -> tuple[str, ...]:
        value = fields.get(name, [])
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(str(item) for item in value)
        self.problems.append(Problem(_join(where, name), "must be an array of texts"))
        return ()

    def optional(
        self, fields: JsonObject, name: str, where: str, read: Callable[[Json, str], T]
    ) -> T | None:
        if fields.get(name) is None:
            return None
        try:
            return read(fields[name], _join(where, name))
        except InvalidInput as error:
            self.problems.extend(error.problems)
            return None


def _parse_step(reader: _Reader, name: str, value: Json) -> Step:
    where = f"steps.{name}"
    fields = reader.object(value, where, _STEP_FIELDS)
    return Step(
        name=name,
        task=reader.text(fields, "task", where),
        input=reader.object(fields.get("input", {}), f"{where}.input", None),
        after=reader.texts(fields, "after", where),
        compensate=reader.optional(
            fields, "compensate", where, lambda raw, path: _parse_compensation(reader, raw, path)
        ),
        queue=reader.text(fields, "queue", where) if fields.get("queue") is not None else None,
        priority=reader.optional(fields, "priority", where, parse_priority),
        retry=reader.optional(fields, "retry", where, lambda raw, path: _retry(reader, raw, path)),
        timeout=reader.optional(fields, "timeout", where, parse_duration),
    )


def _parse_compensation(reader: _Reader, value: Json, where: str) -> Compensation:
    fields = reader.object(value, where, _COMPENSATION_FIELDS)
    return Compensation(
        task=reader.text(fields, "task", where),
        input=reader.object(fields.get("input", {}), f"{where}.input", None),
        retry=reader.optional(fields, "retry", where, lambda raw, path: _retry(reader, raw, path)),
        timeout=reader.optional(fields, "timeout", where, parse_duration),
    )


def _retry(reader: _Reader, value: Json, where: str) -> RetryPolicy | None:
    fields = reader.object(value, where, _RETRY_FIELDS)
    standard = RetryPolicy()
    backoff = fields.get("backoff", standard.backoff.value)
    if backoff not in list(Backoff):
        known = ", ".join(Backoff)
        reader.problems.append(Problem(_join(where, "backoff"), f"must be one of: {known}"))
        return None
    found = len(reader.problems)
    first = reader.optional(fields, "first", where, parse_duration)
    cap = reader.optional(fields, "cap", where, parse_duration)
    attempts = reader.integer(fields, "attempts", where, standard.attempts)
    factor = reader.number(fields, "factor", where, standard.factor)
    jitter = reader.number(fields, "jitter", where, standard.jitter)
    permanent = reader.texts(fields, "permanent", where)
    if len(reader.problems) > found:
        return None
    try:
        return RetryPolicy(
            attempts=attempts,
            backoff=Backoff(str(backoff)),
            first=standard.first if first is None else first,
            factor=factor,
            cap=standard.cap if cap is None else cap,
            jitter=jitter,
            permanent=frozenset(permanent),
        )
    except InvalidInput as error:
        reader.problems.extend(
            Problem(where + problem.path.removeprefix("retry"), problem.message)
            for problem in error.problems
        )
        return None


def parse_duration(value: Json, where: str) -> timedelta:
    """Read a duration given as text or as a number of seconds."""
    if not isinstance(value, (str, int, float)):
        raise InvalidInput(
            "the duration is not usable", [Problem(where, "must be like 30s, or seconds")]
        )
    return duration(value, where)


def _step_document(step: Step) -> dict[str, Json]:
    document: dict[str, Json] = {"task": step.task, "input": step.input}
    if step.after:
        document["after"] = list(step.after)
    if step.compensate is not None:
        undo: dict[str, Json] = {"task": step.compensate.task, "input": step.compensate.input}
        _put_limits(undo, step.compensate.retry, step.compensate.timeout)
        document["compensate"] = undo
    if step.queue is not None:
        document["queue"] = step.queue
    if step.priority is not None:
        document["priority"] = step.priority.label
    _put_limits(document, step.retry, step.timeout)
    return document


def _put_limits(
    document: dict[str, Json], retry: RetryPolicy | None, timeout: timedelta | None
) -> None:
    if retry is not None:
        document["retry"] = retry_document(retry)
    if timeout is not None:
        document["timeout"] = duration_text(timeout)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
