"""An application with its worker and its dispatcher, in this process and on memory adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cueline.app import App, TaskHandle
from cueline.runtime import serve
from cueline.settings import Role, Settings

PATIENCE = 10
"""How long anything may take, in seconds."""

SETTINGS = Settings(store="memory://", roles=(Role.WORKER, Role.DISPATCHER))


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[None]:
    """Serve an application until the block is left."""
    stop, opened = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(serve(SETTINGS, app, stop, opened=lambda _: opened.set()))
    opening = asyncio.create_task(opened.wait())
    await asyncio.wait({running, opening}, return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    try:
        if not running.done():
            yield
    finally:
        stop.set()
        await running


def a_task_of(app: App, **options: Any) -> TaskHandle[..., Any]:
    """A task with a plain handler, registered with these options."""

    def send(order_id: int, note: str = "") -> dict[str, Any]:
        """Send an order."""
        return {"sent": order_id, "note": note}

    return app.task(**options)(send)
