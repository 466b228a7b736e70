"""A client of event streams, one event at a time; the usual HTTP clients wait for the whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from fastapi import FastAPI

PATIENCE = 10.0
"""How many seconds an event that must come may take on a busy machine."""


async def comes_true(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # it is about the inside of what is tested
            await asyncio.sleep(0)


class Told(NamedTuple):
    """An event of a stream."""

    event: str
    data: Any
    id: str | None


class Stream:
    """An open stream. `leave` does what a client does whose connection breaks."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._requests: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._requests.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def receive(self) -> dict[str, Any]:
        """What the server reads from the client."""
        return await self._requests.get()

    async def send(self, message: Any) -> None:
        """What the server sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if message.get("body"):
            self._frames.put_nowait(message["body"])
        if not message.get("more_body"):
            self._frames.put_nowait(None)

    def leave(self) -> None:
        """Break the connection."""
        self._requests.put_nowait({"type": "http.disconnect"})

    async def next(self) -> Told:
        """The next event; there must be one."""
        told = await self.next_or_end()
        assert told is not None, "the stream has ended"
        return told

    async def next_or_end(self) -> Told | None:
        """The next event, or None at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            written = await self._frames.get()
        return None if written is None else _read(written)

    async def rest(self) -> list[Told]:
        """All events until the stream ends."""
        found = []
        while (told := await self.next_or_end()) is not None:
            found.append(told)
        return found

    async def until(self, event: str) -> Told:
        """The next event of a kind, past others."""
        while (told := await self.next()).event != event:
            pass
        return told


@asynccontextmanager
async def following(
    api: FastAPI, path: str, last_event_id: str | None = None
) -> AsyncIterator[Stream]:
    """An open stream; on leaving, the client leaves and the server must be done."""
    headers = [(b"host", b"cueline.test")]
    if last_event_id is not None:
        headers.append((b"last-event-id", last_event_id.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("cueline.test", 80),
    }
    stream = Stream()
    serving = asyncio.create_task(api(scope, stream.receive, stream.send))
    try:
        yield stream
    finally:
        stream.leave()
        async with asyncio.timeout(PATIENCE):
            await serving


def _read(written: bytes) -> Told:
    text = written.decode()
    assert text.endswith("\n\n"), "an event ends with an empty line"
    fields = dict(line.split(": ", 1) for line in text.rstrip("\n").split("\n"))
    return Told(fields["event"], json.loads(fields["data"]), fields.get("id"))
