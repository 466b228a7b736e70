"""The façade: what users write. An `App` names the handlers and workflows of an application."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from cueline.application.context import Context
from cueline.application.tasks import Submission
from cueline.connection import Connection
from cueline.domain.definition import TaskDefinition
from cueline.domain.duration import Duration, duration
from cueline.domain.errors import CuelineError, InvalidInput, Problem
from cueline.domain.identifiers import RunId, TaskId, require_name
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import DEFAULT_QUEUE, Priority
from cueline.domain.text import storable
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import parse_priority
from cueline.workflow_builder import Call, WorkflowBuilder

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    from cueline.application.application import Application
    from cueline.infrastructure.execution.executor import Handler
    from cueline.settings import Settings

    AnySession: TypeAlias = (
        AsyncSession | Session | async_scoped_session[AsyncSession] | scoped_session[Session]
    )

P = ParamSpec("P")
R = TypeVar("R")

PriorityName: TypeAlias = str
"""`critical`, `high`, `normal` or `low`."""


class TaskFailed(CuelineError):
    """Raised by `TaskRef.result` and `RunRef.result` when what was awaited did not succeed."""

    def __init__(self, id: str, state: str, reason: str) -> None:
        self.id = id
        self.state = state
        self.reason = reason
        super().__init__(f"{id} ended as {state}" + (f": {reason}" if reason else ""))


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A task that has been submitted. `created` is False if its key brought an earlier one."""

    id: TaskId
    created: bool
    _connection: Connection

    async def result(self, timeout: Duration | None = None) -> Json:
        """Wait for the task to end and answer its output.

        Raises `TaskFailed` if it failed or was cancelled, `TimeoutError` if it takes longer.
        """
        return await self._connection.task_result(self.id, _span(timeout, "timeout"))


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run that has been started. `created` is False if its key brought an earlier one."""

    id: RunId
    created: bool
    _connection: Connection

    async def result(self, timeout: Duration | None = None) -> Json:
        """Wait for the run to end and answer its output; errors as for `TaskRef.result`."""
        return await self._connection.run_result(self.id, _span(timeout, "timeout"))


@dataclass(frozen=True, slots=True)
class Options:
    """What a submission asks for beyond its input; what is None is the task's own."""

    queue: str | None = None
    priority: Priority | None = None
    delay: timedelta | None = None
    run_at: datetime | None = None
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    session: AnySession | None = None


class TaskHandle(Generic[P, R]):
    """A registered handler. `submit` takes the handler's own parameters, and mypy checks them."""

    def __init__(
        self,
        app: App,
        definition: TaskDefinition,
        handler: Handler,
        options: Options = Options(),  # immutable
    ) -> None:
        self._app = app
        self._definition = definition
        self._handler = handler
        self._options = options

    @property
    def name(self) -> str:
        """The task's name."""
        return self._definition.name

    @property
    def function(self) -> Callable[..., Any]:
        """The handler itself, for calling it in a test."""
        return self._handler.function

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the handler's parameters, without the context."""
        return self._handler.signature.names

    def with_options(
        self,
        *,
        queue: str | None = None,
        priority: PriorityName | None = None,
        delay: Duration | None = None,
        run_at: datetime | None = None,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        key: str | None = None,
        tags: Iterable[str] | None = None,
        session: AnySession | None = None,
    ) -> TaskHandle[P, R]:
        """The same task with other options; what is left out stays as it is.

        With a `session` of SQLAlchemy on the store's own database, a submit is part of its
        transaction: the task is there once you commit, and never if you roll back. An
        `AsyncSession` goes with `submit` and `submit_many`, a plain one with `submit_sync`; either
        may be a scoped one.
        """
        was = self._options
        options = Options(
            queue=was.queue if queue is None else queue,
            priority=was.priority if priority is None else parse_priority(priority, "priority"),
            delay=was.delay if delay is None else duration(delay, "delay"),
            run_at=was.run_at if run_at is None else run_at,
            retry=was.retry if retry is None else retry,
            timeout=was.timeout if timeout is None else duration(timeout, "timeout"),
            key=was.key if key is None else key,
            tags=was.tags if tags is None else tuple(tags),
            session=was.session if session is None else session,
        )
        return TaskHandle(self._app, self._definition, self._handler, options)

    async def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef:
        """Store the task and hand it to the workers. Answers once it is safely stored."""
        submission = self._submission(self._handler.signature.encode(args, kwargs))
        connection = self._app.connection
        if self._options.session is not None:
            [submitted] = await connection.submit_within(self._options.session, [submission])
        else:
            submitted = await connection.call(lambda app: app.submit.one(submission))
        return TaskRef(submitted.task.id, submitted.created, connection)

    async def submit_many(self, inputs: Iterable[Mapping[str, Any]]) -> list[TaskRef]:
        """Submit one task for each set of keyword arguments, all or none, in one transaction."""
        submissions = [
            self._submission(self._handler.signature.encode((), dict(input))) for input in inputs
        ]
        connection = self._app.connection
        if self._options.session is not None:
            submitted = await connection.submit_within(self._options.session, submissions)
        else:
            submitted = await connection.call(lambda app: app.submit(submissions))
        return [TaskRef(one.task.id, one.created, connection) for one in submitted]

    def submit_sync(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef:
        """`submit` for code without an event loop: a script, or a handler that is a plain `def`."""
        submission = self._submission(self._handler.signature.encode(args, kwargs))
        connection = self._app.connection
        if self._options.session is not None:
            [submitted] = connection.submit_within_sync(self._options.session, [submission])
        else:
            submitted = connection.call_sync(lambda app: app.submit.one(submission))
        return TaskRef(submitted.task.id, submitted.created, connection)

    def call(self, **inputs: Any) -> Call:
        """The task with its input, to be given as a step's `compensate`; nothing is submitted."""
        return Call(self.name, inputs)

    def _submission(self, input: Mapping[str, Json]) -> Submission:
        o = self._options
        return Submission(
            self.name,
            input,
            o.queue,
            o.priority,
            o.delay,
            o.run_at,
            o.retry,
            o.timeout,
            o.key,
            o.tags,
        )


class _Decorator:
    """What `@app.task(...)` makes of a function; the overloads leave out the context parameter."""

    def __init__(self, register: Callable[[Callable[..., Any]], TaskHandle[Any, Any]]) -> None:
        self._register = register

    @overload
    def __call__(
        self, function: Callable[Concatenate[Context, P], Awaitable[R]], /
    ) -> TaskHandle[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> TaskHandle[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> TaskHandle[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> TaskHandle[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> TaskHandle[Any, Any]:
        return self._register(function)


class App:
    """An application: its handlers and its workflows, and the connection through which it submits.

    A process that serves or works for the application lends it its own connection; elsewhere one is
    opened on first use from `settings` (by default the `CUELINE_*` variables). `async with app:`
    opens it beforehand and closes it properly.
    """

    def __init__(self, name: str, *, settings: Settings | None = None) -> None:
        self.name = require_name(name, "name")
        self.connection = Connection(self, settings)
        self._tasks: dict[str, tuple[TaskDefinition, Handler]] = {}
        self._workflows: dict[tuple[str, int], WorkflowBuilder] = {}

    @overload
    def task(
        self, function: Callable[Concatenate[Context, P], Awaitable[R]], /
    ) -> TaskHandle[P, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[Context, P], R], /) -> TaskHandle[P, R]: ...
    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> TaskHandle[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> TaskHandle[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: PriorityName = "normal",
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> _Decorator: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: PriorityName = "normal",
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Register a function as the handler of a task, named after it unless `name` is given.

        `async def` runs on the event loop, `def` in a thread. Its first parameter is the `Context`
        if it is annotated so or called `ctx`; the others are the task's input.
        """

        def register(handler: Callable[..., Any]) -> TaskHandle[Any, Any]:
            return self._register(
                handler,
                name=require_name(name or handler.__name__, "name"),
                queue=require_name(queue, "queue"),
                priority=parse_priority(priority, "priority"),
                retry=retry or RetryPolicy(),
                timeout=_span(timeout, "timeout"),
            )

        return register(function) if function is not None else _Decorator(register)

    def workflow(self, name: str, version: int = 1) -> WorkflowBuilder:
        """Begin a workflow. Change its steps only together with its version."""
        builder = WorkflowBuilder(self, require_name(name, "name"), version)
        if (name, version) in self._workflows:
            raise InvalidInput(
                "the workflow is there already", [Problem("name", f"{name!r} version {version}")]
            )
        self._workflows[name, version] = builder
        return builder

    @property
    def definitions(self) -> tuple[TaskDefinition, ...]:
        """What is registered about tasks, as data."""
        return tuple(definition for definition, _ in self._tasks.values())

    @property
    def handlers(self) -> dict[str, Handler]:
        """The handlers by task name."""
        return {name: handler for name, (_, handler) in self._tasks.items()}

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """The workflows, each checked; `InvalidDefinition` if one could not run."""
        return tuple(builder.definition() for builder in self._workflows.values())

    async def start(
        self, workflow: WorkflowBuilder, input: Mapping[str, Any], *, key: str | None = None
    ) -> RunRef:
        """Start a run of a workflow; usually said as `workflow.start(...)`."""
        started = await self.connection.call(
            lambda app: self.connection.start_run(app, workflow.definition(), input, key)
        )
        return RunRef(started.run.id, started.created, self.connection)

    async def __aenter__(self) -> Self:
        await self.connection.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Self]:
        """Run a worker and the dispatcher in this process while the block lasts.

        For scripts and tests; a service runs `cueline serve` or `cueline worker`.
        """
        async with self.connection.working():
            yield self

    def bind(self, application: Application) -> None:
        """Submit through an application that is open in this process, on the running event loop."""
        self.connection.bind(application)

    def _register(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        queue: str,
        priority: Priority,
        retry: RetryPolicy,
        timeout: timedelta | None,
    ) -> TaskHandle[Any, Any]:
        from cueline.infrastructure.execution.executor import Handler

        if name in self._tasks:
            raise InvalidInput("the task is there already", [Problem("name", f"{name!r}")])
        handler = Handler.of(function)
        definition = TaskDefinition(
            name=name,
            input_schema=handler.signature.schema,
            queue=queue,
            priority=priority,
            retry=retry,
            timeout=timeout,
            description=storable(inspect.getdoc(function) or ""),
        )
        self._tasks[name] = (definition, handler)
        return TaskHandle(self, definition, handler)


def _span(value: Duration | None, path: str) -> timedelta | None:
    return None if value is None else duration(value, path)
