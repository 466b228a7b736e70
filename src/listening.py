"""The REST API on a port of its own. A module apart, as workers do without a web framework."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket

import uvicorn

from cueline.application.application import Application
from cueline.interfaces.rest import create_api
from cueline.settings import Settings

log = logging.getLogger(__name__)

API_PATIENCE = 5
"""How long open requests and event streams may go on when the service stops, in seconds."""


async def serve_api(settings: Settings, application: Application, stop: asyncio.Event) -> None:
    """Answer requests until `stop` is set; `RuntimeError` if the address is taken."""
    api = create_api(lambda: application, max_body=settings.max_body)
    server = _Server(
        uvicorn.Config(
            api,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=API_PATIENCE,
        )
    )

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    ending = asyncio.create_task(end(), name="api-end")
    try:
        await server.serve()
    finally:
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending
    if not server.started:
        raise RuntimeError(f"cannot listen on {settings.host}:{settings.port}; is it in use?")


class _Server(uvicorn.Server):
    """uvicorn, leaving the signals to us: one signal has to stop the API and the worker."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port, *_ = listening.getsockname()
                log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
