"""Opening the selected adapters, and running what a process is for."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cueline.application.application import Application
from cueline.container import Container
from cueline.domain.errors import Unavailable
from cueline.domain.task import DEFAULT_QUEUE
from cueline.infrastructure.retrying import Retrying, retrying
from cueline.interfaces.worker.loops import dispatch_forever, maintain_forever
from cueline.interfaces.worker.worker import WorkerLoop, WorkerOptions
from cueline.needs import require
from cueline.settings import Role, Settings

if TYPE_CHECKING:
    from cueline.app import App

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=5)
"""How long a command that is to answer waits for a store that is away."""

NEW_OBJECTS = 50_000
"""After how many new objects a service looks for cycles among them (Python: 700)."""


@asynccontextmanager
async def open_application(
    settings: Settings,
    app: App | None,
    *,
    roles: Collection[Role] = (),
    patience: timedelta | None = PATIENCE,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Application]:
    """Open just the adapters that the settings select, in order, and close them in reverse.

    A store that does not answer is waited for, for so long (None: for ever, or until `stop`), and
    then `Unavailable` is raised. Nothing waits for a broker: work goes on without. `InvalidInput`
    if the adapters cannot do what the roles need.
    """
    container = Container(
        settings=settings,
        definitions=app.definitions if app is not None else (),
        handlers=app.handlers if app is not None else {},
    )
    store, broker = container.store(), container.broker()
    if roles:
        require(roles, store.capabilities, broker.capabilities)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        async for attempt in _while_away("open the store", patience, stop):
            with attempt:
                await store.open()
        for adapter in (
            *container.listeners(),
            broker,
            container.bus(),
            container.executor(),
        ):
            stack.push_async_callback(adapter.close)
            await adapter.open()
        stack.push_async_callback(container.link().close)
        await stack.enter_async_context(container.http())
        application = container.application()
        async for attempt in _while_away("register the application", patience, stop):
            with attempt:
                await application.catalogue.register()
                for workflow in app.workflows if app is not None else ():
                    await application.register(workflow)
        yield application


def _while_away(what: str, patience: timedelta | None, stop: asyncio.Event | None) -> Retrying:
    return retrying(
        what, when=lambda error: isinstance(error, Unavailable), within=patience, stop=stop
    )


async def serve(
    settings: Settings,
    app: App | None,
    stop: asyncio.Event,
    opened: Callable[[Application], None] = lambda _: None,
) -> None:
    """Do what the settings' roles say until `stop` is set, then end in order.

    A store that is away at the start is waited for. `opened` is told once the application is open.

    The API stops first, so that nothing new comes in; the worker finishes what it holds; the
    dispatcher and maintenance go last, because others may still need them.
    """
    opening = open_application(settings, app, roles=settings.roles, patience=None, stop=stop)
    try:
        async with opening as application:
            await _serve_opened(settings, app, application, stop, opened)
    except Unavailable as error:
        if not stop.is_set():
            raise
        log.info("stopped before it could begin: %s", error)


async def _serve_opened(
    settings: Settings,
    app: App | None,
    application: Application,
    stop: asyncio.Event,
    opened: Callable[[Application], None],
) -> None:
    if app is not None:
        app.bind(application)
    if Role.API in settings.roles:
        import cueline.listening  # noqa: F401  # before what is imported is spared
    _collect_less_garbage()
    opened(application)
    loops = [asyncio.create_task(loop, name=name) for name, loop in _loops(settings, application)]
    parts = [
        asyncio.create_task(part, name=name)
        for name, part in _parts(settings, app, application, stop)
    ]
    waiting = asyncio.create_task(stop.wait(), name="stop")
    try:
        # A part that ends by itself has failed: a worker or an API that is not there must not
        # go unnoticed behind the rest.
        await asyncio.wait({waiting, *parts}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.gather(*parts)
    finally:
        stop.set()
        for task in (waiting, *loops):
            task.cancel()
        await asyncio.gather(waiting, *loops, *parts, return_exceptions=True)
        if app is not None:
            await app.connection.unbind()


def _collect_less_garbage() -> None:
    """Spare what was imported, and look for cycles less often: a fifth of what a task costs.

    Hundreds of tasks under way are thousands of new objects, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


def _loops(settings: Settings, application: Application) -> Iterator[tuple[str, Any]]:
    if Role.DISPATCHER in settings.roles:
        yield "dispatcher", dispatch_forever(application)
        yield "maintenance", maintain_forever(application)


def _parts(
    settings: Settings, app: App | None, application: Application, stop: asyncio.Event
) -> Iterator[tuple[str, Any]]:
    if Role.WORKER in settings.roles and app is None:
        log.info("no handlers run here: name an application with --app or CUELINE_APP")
    if Role.WORKER in settings.roles and app is not None:
        options = WorkerOptions(
            name=settings.worker_name,
            queues=settings.queues or queues_of(app),
            slots=settings.concurrency,
            grace=settings.grace,
        )
        yield "worker", WorkerLoop(application, options).run(stop)
    if Role.API in settings.roles:
        from cueline.listening import serve_api  # loads the web framework

        yield "api", serve_api(settings, application, stop)


def queues_of(app: App) -> tuple[str, ...]:
    """The queues that an application's tasks name: what its workers serve unless told otherwise."""
    return tuple(sorted({definition.queue for definition in app.definitions})) or (DEFAULT_QUEUE,)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()

    def receive(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("%s again: ending at once", number.name)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        log.info("%s: stopping", number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receive, number)
