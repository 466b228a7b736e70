"""The command line's root: builds it, and opens the rest of the house for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvloop

from cueline.interfaces.cli import Check, Entry, Options, build_cli
from cueline.loading import load_app, load_settings

if TYPE_CHECKING:
    from cueline.app import App
    from cueline.application.application import Application
    from cueline.settings import Settings

# What is imported within the functions below is slow, and `cueline --help` needs none of it.


class House(Entry):
    """Opens the application, or runs the processes, as the command line asks."""

    @asynccontextmanager
    async def open(self, options: Options) -> AsyncIterator[Application]:
        """The application as a client has it."""
        from cueline.logs import configure_logging
        from cueline.runtime import open_application

        settings, app = _load(options)
        configure_logging("WARNING")
        async with open_application(settings, app) as application:
            yield application

    async def serve(self, options: Options) -> None:
        """Run the API and the roles until SIGTERM or SIGINT."""
        settings, app = _load(options)
        await _run(settings, app)

    async def work(self, options: Options) -> None:
        """Run the roles without the API until SIGTERM or SIGINT."""
        settings, app = _load(options)
        roles = tuple(role for role in settings.roles if role != "api")
        await _run(settings.model_copy(update={"roles": roles}), app)

    async def doctor(self, options: Options) -> Sequence[Check]:
        """What is selected, whether it answers, and what it can and cannot do."""
        from cueline.doctor import examine

        settings, app = _load(options)
        return await examine(settings, app)


def _load(options: Options) -> tuple[Settings, App | None]:
    settings = load_settings(
        app=options.app,
        store=options.store,
        broker=options.broker,
        host=options.host,
        port=options.port,
        concurrency=options.concurrency,
        queues=options.queues,
        roles=options.roles,
    )
    return settings, load_app(settings.app)


async def _run(settings: Settings, app: App | None) -> None:
    from cueline.logs import configure_logging
    from cueline.runtime import serve, stop_on_signals

    configure_logging(settings.log_level)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(settings, app, stop)


def main() -> None:
    """Run the command line."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    build_cli(House())()


if __name__ == "__main__":
    main()
