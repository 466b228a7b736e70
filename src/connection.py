"""How an `App` reaches the service, from whatever loop or thread its user is in."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import PydanticSerializationError, to_jsonable_python

from cueline.domain.errors import CuelineError, InvalidInput, Problem
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.json import Json
from cueline.domain.task import TaskState
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import RunState

if TYPE_CHECKING:
    from cueline.app import App
    from cueline.application.application import Application
    from cueline.application.tasks import Submission, Submitted
    from cueline.application.workflows import Started
    from cueline.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_INTERVAL = 0.5
"""How often a result is looked for when no event comes, in seconds: it may be made elsewhere."""

TURN_INTERVAL = 0.01
"""How often a call looks whether another one has opened the connection, in seconds."""


class Connection:
    """An open `Application` and the event loop on which it lives.

    Calls from that loop are made directly; calls from other threads and loops are sent to it. With
    no loop at all (`call_sync` in a script) it lives on a thread of its own.
    """

    def __init__(self, app: App, settings: Settings | None) -> None:
        self._app = app
        self._settings = settings
        self._application: Application | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exit: AsyncExitStack | None = None
        self._opening = threading.Lock()
        self._turn = threading.Lock()
        self._registered: set[tuple[str, int]] = set()
        self._dispatching: asyncio.Task[None] | None = None

    # --- opening and closing ----------------------------------------------------------------------

    def bind(self, application: Application) -> None:
        """Use an application that somebody else opened on the running loop, and will close."""
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._exit = None
        self._registered.clear()

    async def unbind(self) -> None:
        """Forget it again, and have done with it: whoever opened it may close it then."""
        self._application = None
        self._loop = None
        dispatching, self._dispatching = self._dispatching, None
        if dispatching is not None:
            await asyncio.gather(dispatching, return_exceptions=True)

    async def open(self) -> None:
        """Open a connection on the running loop, unless there is one."""
        # First calls may come at the same moment, from one loop or several: only one may open.
        while not self._turn.acquire(blocking=False):  # noqa: ASYNC110  # an Event has one loop
            await asyncio.sleep(TURN_INTERVAL)
        try:
            if not self._is_open():
                await self._open_here()
        finally:
            self._turn.release()

    async def _open_here(self) -> None:
        from cueline.runtime import open_application  # loads the adapters
        from cueline.settings import Settings

        settings = self._settings or Settings()
        exit_stack = AsyncExitStack()
        application = await exit_stack.enter_async_context(open_application(settings, self._app))
        self.bind(application)
        self._exit = exit_stack

    async def close(self) -> None:
        """Close what was opened here."""
        exit_stack, self._exit = self._exit, None
        if exit_stack is not None:
            await self.unbind()
            await exit_stack.aclose()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run a worker and the dispatcher here, and be connected to them."""
        from cueline.runtime import serve  # loads the adapters
        from cueline.settings import Role, Settings

        settings = self._settings or Settings()
        roles = (Role.WORKER, Role.DISPATCHER, Role.SCHEDULER)
        stop, opened = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(
            serve(
                settings.model_copy(update={"roles": roles}),
                self._app,
                stop,
                opened=lambda _: opened.set(),
            )
        )
        opening = asyncio.create_task(opened.wait())
        await asyncio.wait({running, opening}, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        try:
            if not running.done():
                yield
        finally:
            stop.set()
            await running  # and hear of what went wrong, if something did

    def _is_open(self) -> bool:
        return self._application is not None and not self._the_loop().is_closed()

    # --- calling ----------------------------------------------------------------------------------

    async def call(self, use: Callable[[Application], Awaitable[T]]) -> T:
        """Do something with the application, from any loop."""
        if not self._is_open():
            await self.open()
        if asyncio.get_running_loop() is self._loop:
            return await use(self._the_application())
        return await asyncio.wrap_future(self._send(use))

    def call_sync(self, use: Callable[[Application], Awaitable[T]]) -> T:
        """Do something with the application and wait for it, from a thread without a loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise CuelineError("there is an event loop here: use `await ... .submit(...)`")
        with self._opening:
            if not self._is_open():
                self._open_on_a_thread()
        return self._send(use).result()

    def _send(self, use: Callable[[Application], Awaitable[T]]) -> Future[T]:
        async def work() -> T:
            return await use(self._the_application())

        return asyncio.run_coroutine_threadsafe(work(), self._the_loop())

    def _open_on_a_thread(self) -> None:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, name="cueline", daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.open(), loop).result()

    # --- submitting within the caller's own transaction -------------------------------------------

    async def submit_within(
        self, transaction: object, submissions: Sequence[Submission]
    ) -> list[Submitted]:
        """Submit in a transaction of the caller's, on the loop on which that lives."""
        tasks = await self.call(lambda app: app.submit.prepare_to_join(submissions))
        submit = self._the_application().submit
        return await submit.join(transaction, tasks, self._dispatch_soon)

    def submit_within_sync(
        self, transaction: object, submissions: Sequence[Submission]
    ) -> list[Submitted]:
        """Submit in a transaction of the caller's, in the caller's thread, which has no loop."""
        tasks = self.call_sync(lambda app: app.submit.prepare_to_join(submissions))
        submit = self._the_application().submit
        return _without_loop(submit.join(transaction, tasks, self._dispatch_soon))

    def _dispatch_soon(self) -> None:
        """Hand on what a caller has just committed; in the caller's thread, so on to ours.

        Nothing depends on it: dispatchers look by themselves.
        """
        with suppress(RuntimeError, CuelineError):  # it is closed: not the business of a commit
            self._the_loop().call_soon_threadsafe(self._begin_dispatching)

    def _begin_dispatching(self) -> None:
        application = self._application
        if application is None:
            return
        application.backlog.ring()  # a dispatcher here is quickest
        if self._dispatching is None or self._dispatching.done():
            self._dispatching = asyncio.create_task(_dispatch(application), name="dispatch")

    # --- what the façade asks ---------------------------------------------------------------------

    async def start_run(
        self,
        application: Application,
        workflow: Workflow,
        input: Mapping[str, Any],
        key: str | None,
    ) -> Started:
        """Register the workflow if need be, and start a run of it."""
        from cueline.application.workflows import Start

        version = (workflow.name, workflow.version)
        if version not in self._registered:
            await application.register(workflow)
            self._registered.add(version)
        try:
            plain: Json = to_jsonable_python(input)
        except PydanticSerializationError as error:
            raise InvalidInput(
                "the run cannot be started so", [Problem("input", str(error))]
            ) from error
        return await application.start.one(Start(workflow, plain, key))

    async def task_result(self, id: TaskId, timeout: timedelta | None) -> Json:
        """Wait for a task's output."""

        async def ended(application: Application) -> tuple[bool, str, str, Json]:
            task = (await application.queries.task(id)).task
            reason = task.failure.summary if task.failure else ""
            return task.state.ended, task.state.value, reason, task.output

        return await self.call(lambda app: self._wait(app, id, ended, TaskState.SUCCEEDED, timeout))

    async def run_result(self, id: RunId, timeout: timedelta | None) -> Json:
        """Wait for a run's output."""

        async def ended(application: Application) -> tuple[bool, str, str, Json]:
            run = (await application.queries.run(id)).run
            reason = run.failure.summary if run.failure else ""
            return run.state.ended, run.state.value, reason, run.output

        return await self.call(lambda app: self._wait(app, id, ended, RunState.SUCCEEDED, timeout))

    async def _wait(
        self,
        application: Application,
        id: str,
        look: Callable[[Application], Awaitable[tuple[bool, str, str, Json]]],
        wanted: str,
        timeout: timedelta | None,
    ) -> Json:
        """Look, then wait for an event or a moment, until it has ended."""
        from cueline.app import TaskFailed

        async with (
            asyncio.timeout(timeout.total_seconds() if timeout is not None else None),
            application.queries.watch([id]) as events,
        ):
            while True:
                ended, state, reason, output = await look(application)
                if ended and state == wanted:
                    return output
                if ended:
                    raise TaskFailed(id, state, reason)
                try:
                    async with asyncio.timeout(LOOK_INTERVAL):
                        await anext(aiter(events))
                except TimeoutError:
                    continue

    def _the_application(self) -> Application:
        if self._application is None:
            raise CuelineError("the connection is closed")
        return self._application

    def _the_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise CuelineError("the connection is closed")
        return self._loop


async def _dispatch(application: Application) -> None:
    try:
        await application.dispatch()
    except CuelineError as error:
        log.warning("what was committed is left to the dispatchers: %s", error)


def _without_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise CuelineError("a plain session goes with submit_sync, an AsyncSession with submit")
