"""The executor: finds a task's handler and calls it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cueline.application.context import Context
from cueline.application.ports.runtime import Executor
from cueline.domain.errors import PermanentError
from cueline.domain.json import Json
from cueline.domain.task import Task
from cueline.infrastructure.execution.signature import Signature, encode_output
from cueline.infrastructure.execution.threads import HandlerThreads


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that does a kind of task, and what its signature says."""

    function: Callable[..., Any]
    signature: Signature
    is_async: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Handler:
        """Describe a function."""
        return cls(function, Signature(function), inspect.iscoroutinefunction(function))


class HandlerExecutor(Executor):
    """Runs `async def` handlers on the event loop and others in threads."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._threads = HandlerThreads()

    @property
    def names(self) -> frozenset[str]:
        """The names of the tasks for which there is a handler."""
        return frozenset(self._handlers)

    async def open(self) -> None:
        """Nothing to do: threads are made as they are needed."""

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    async def execute(self, task: Task, context: Context) -> Json:
        """Run the task's handler and answer its output."""
        handler = self._handlers.get(task.spec.name)
        if handler is None:
            raise PermanentError(f"this worker has no handler for task {task.spec.name!r}")
        arguments = handler.signature.decode(task.spec.input)
        call = (
            partial(handler.function, context, **arguments)
            if handler.signature.takes_context
            else partial(handler.function, **arguments)
        )
        output = await (call() if handler.is_async else self._threads.run(call))
        return encode_output(output)
