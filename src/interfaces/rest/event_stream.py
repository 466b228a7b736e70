"""Event streams (SSE): how events are written, and the response that sends them while they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cueline.interfaces.rest.answers import encode


def frame(event: str, data: object, id: str | int | None = None) -> bytes:
    """Write one event. Only one with an id moves the place from which a client resumes."""
    place = b"" if id is None else b"id: %s\n" % str(id).encode()
    return b"%sevent: %s\ndata: %s\n\n" % (place, event.encode(), encode(data))


class EventStream(Response):
    """Sends frames until they end or the client goes, and then closes their source at once.

    Starlette's own streaming response may learn of a lost client only when it next sends, and
    leaves the source to the garbage collector.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self._frames = frames
        self.status_code = 200
        self.background = None
        # A proxy must pass each event on as it comes, and nobody may keep it.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        sending = asyncio.create_task(self._send(send), name="event-stream")
        leaving = asyncio.create_task(_disconnected(receive), name="event-stream-client")
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sent = sending.done()
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._frames.aclose()
        if sent:
            sending.result()  # raises what broke the stream, for the log

    async def _send(self, send: Send) -> None:
        async for written in self._frames:
            await send({"type": "http.response.body", "body": written, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
