"""What is known of a task by its name: where it runs, how it is retried, which input it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cueline.domain.json import JsonObject
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import DEFAULT_QUEUE, Priority


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The defaults of a kind of task and the JSON Schema (2020-12) of its input.

    It is data, kept in the store, so that a process which does not have the handler (an API node, a
    command line) refuses a wrong input in the same words as one that does.
    """

    name: str
    input_schema: JsonObject
    queue: str = DEFAULT_QUEUE
    priority: Priority = Priority.NORMAL
    retry: RetryPolicy = RetryPolicy()
    timeout: timedelta | None = None
    description: str = ""
