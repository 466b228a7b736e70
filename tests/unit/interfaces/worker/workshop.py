"""A running worker on memory adapters, with the real executor and a dispatcher beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from cueline.application.application import Application
from cueline.domain.errors import Unavailable
from cueline.domain.json import Json, JsonObject
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker
from cueline.infrastructure.execution.executor import Handler, HandlerExecutor
from cueline.interfaces.worker import loops
from cueline.interfaces.worker.worker import WorkerLoop, WorkerOptions
from tests.harness import Harness, a_definition

PATIENCE = 2.0
"""How long a test waits for what must happen."""

RETRY_DELAY = 10.0
"""How long `retried` waits between attempts, by the clock of the test."""

DEFINITIONS = (
    a_definition("job"),
    a_definition("other"),
    a_definition("retried", retry=RetryPolicy(attempts=3, first=timedelta(seconds=RETRY_DELAY))),
)


@dataclass
class Running:
    """A worker at work."""

    loop: WorkerLoop
    stop: asyncio.Event
    ended: asyncio.Task[None]

    async def finish(self) -> None:
        """Stop it and wait for its end."""
        self.stop.set()
        await asyncio.wait_for(asyncio.shield(self.ended), PATIENCE)


class Workshop:
    """A process with handlers. One `beside` another is a second process on the same store."""

    def __init__(self, beside: Workshop | None = None) -> None:
        self.h: Harness = Harness(DEFINITIONS, beside=beside.h if beside else None)
        self._handlers: dict[str, Handler] = {}

    def on(self, name: str, function: Callable[..., Any]) -> None:
        """Have tasks of this name handled so. Say it before the worker starts."""
        self._handlers[name] = Handler.of(function)

    @property
    def app(self) -> Application:
        return replace(self.h.app, executor=HandlerExecutor(self._handlers))

    async def submit(
        self, name: str = "job", input: JsonObject | None = None, **options: Any
    ) -> Task:
        return await self.h.submit(name, input, **options)

    def start(self, *, slots: int = 4, grace: float = 1.0) -> Running:
        """Start a worker, without a dispatcher."""
        options = WorkerOptions("host", ("default",), slots, timedelta(seconds=grace))
        loop, stop = WorkerLoop(self.app, options), asyncio.Event()
        return Running(loop, stop, asyncio.create_task(loop.run(stop)))

    @asynccontextmanager
    async def open(self, *, slots: int = 4, grace: float = 1.0) -> AsyncIterator[Running]:
        """A worker and a dispatcher; both have ended afterwards."""
        dispatcher = asyncio.create_task(loops.dispatch_forever(self.h.app))
        running = self.start(slots=slots, grace=grace)
        try:
            yield running
            await running.finish()
        finally:
            running.ended.cancel()
            dispatcher.cancel()
            await asyncio.gather(running.ended, dispatcher, return_exceptions=True)

    async def in_state(self, task: Task, state: TaskState) -> Task:
        """The task once it is in this state."""

        async def there() -> bool:
            return (await self.h.task(task.id)).state is state

        await until(there)
        return await self.h.task(task.id)

    async def ended(self, task: Task) -> Task:
        """The task once it has ended."""

        async def there() -> bool:
            return (await self.h.task(task.id)).state.ended

        await until(there)
        return await self.h.task(task.id)

    async def workers(self) -> list[Worker]:
        """All workers that were ever registered."""
        return list(await self.h.app.queries.workers())

    async def registered(self, count: int = 1) -> None:
        """Wait until so many workers have been registered."""

        async def there() -> bool:
            return len(await self.workers()) >= count

        await until(there)

    async def logged(self, task: Task) -> list[str]:
        """The messages in the log of a task."""
        async with self.h.store.read() as uow:
            return [entry.message for _, entry in await uow.journal.logs(task.id, 0, 100)]

    async def outcomes(self, task: Task) -> list[str]:
        """How the attempts that are on record ended."""
        async with self.h.store.read() as uow:
            return [attempt.outcome.value for attempt in await uow.journal.attempts(task.id)]


@dataclass
class Gate:
    """A handler that tells when it was entered, and goes on when it is let go."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Json = None

    async def __call__(self) -> Json:
        self.entered.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.interrupted.set()
            raise
        return self.answer

    async def handler(self) -> Json:
        """What to register: a plain coroutine function."""
        return await self()

    async def wait(self) -> None:
        """Wait until the handler has been entered."""
        await asyncio.wait_for(self.entered.wait(), PATIENCE)


class Outage:
    """A store that is away, and how often it was asked in vain."""

    def __init__(self) -> None:
        self.asked = 0
        self._was_asked = asyncio.Event()

    def refuse(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        self._was_asked.set()
        raise Unavailable("the store", "a test wants it so")

    async def refuse_later(self, *_: Any, **__: Any) -> Any:
        self.refuse()

    async def felt(self) -> None:
        """Wait until somebody has asked in vain."""
        await asyncio.wait_for(self._was_asked.wait(), PATIENCE)


@contextmanager
def outage(workshop: Workshop) -> Iterator[Outage]:
    """While it lasts, the store answers nobody."""
    away = Outage()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workshop.h.store, "write", away.refuse)
        patch.setattr(workshop.h.store, "read", away.refuse)
        yield away


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds that nothing announces."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.001)
