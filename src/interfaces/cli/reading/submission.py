"""A request for a task, from the options of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from cueline.application.tasks import Submission
from cueline.domain.definition import TaskDefinition
from cueline.domain.duration import duration
from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import Json, JsonObject
from cueline.domain.retry import RetryPolicy
from cueline.domain.workflow.document import parse_priority

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options, as they were typed."""

    queue: str | None = None
    priority: str | None = None
    delay: str | None = None
    run_at: str | None = None
    attempts: int | None = None
    timeout: str | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()


def submission(
    name: str, input: Json | None, wishes: Wishes, definition: TaskDefinition | None
) -> Submission:
    """Make the request, or raise `InvalidInput` with everything that is wrong with the options."""
    problems: list[Problem] = []

    def read(value: str | None, path: str, parse: Callable[[str, str], T]) -> T | None:
        try:
            return None if value is None else parse(value, path)
        except InvalidInput as error:
            problems.extend(error.problems)
            return None

    result = Submission(
        name=name,
        input=_object(input, problems),
        queue=wishes.queue,
        priority=read(wishes.priority, "priority", parse_priority),
        delay=read(wishes.delay, "delay", duration),
        run_at=read(wishes.run_at, "run_at", _time),
        retry=_retry(wishes.attempts, definition, problems),
        timeout=read(wishes.timeout, "timeout", duration),
        key=wishes.key,
        tags=wishes.tags,
    )
    if problems:
        raise InvalidInput(f"task {name!r} cannot be submitted so", problems)
    return result


def _object(input: Json | None, problems: list[Problem]) -> JsonObject:
    if input is None:
        return {}
    if not isinstance(input, Mapping):
        problems.append(Problem("input", 'a task takes an object, as in {"order": 7}'))
        return {}
    return input


def _time(value: str, path: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        message = f"{value!r} is not a time: write 2026-01-31T08:00:00Z"
        raise InvalidInput("the time is not usable", [Problem(path, message)]) from error


def _retry(
    attempts: int | None, definition: TaskDefinition | None, problems: list[Problem]
) -> RetryPolicy | None:
    """The task's own policy with another number of attempts."""
    if attempts is None:
        return None
    try:
        return replace(definition.retry if definition else RetryPolicy(), attempts=attempts)
    except InvalidInput as error:
        problems.extend(error.problems)
        return None
