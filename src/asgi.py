"""Cueline for any ASGI server: `uvicorn cueline.asgi:api`.

The process does what `CUELINE_ROLES` says beside answering requests, as under `cueline serve`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from cueline.application.application import Application
from cueline.interfaces.rest import create_api
from cueline.loading import load_app, load_settings
from cueline.runtime import serve
from cueline.settings import Role

_settings = load_settings()
_opened: list[Application] = []


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    app = load_app(_settings.app)
    roles = tuple(role for role in _settings.roles if role is not Role.API)
    stop, ready = asyncio.Event(), asyncio.Event()

    def note(application: Application) -> None:
        _opened[:] = [application]
        ready.set()

    running = asyncio.create_task(
        serve(_settings.model_copy(update={"roles": roles}), app, stop, opened=note)
    )
    opening = asyncio.create_task(ready.wait())
    await asyncio.wait({running, opening}, return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    if running.done():
        running.result()
    try:
        yield
    finally:
        stop.set()
        await running
        _opened.clear()


api = create_api(lambda: _opened[0], lifespan=_lifespan, max_body=_settings.max_body)
