"""A gate on the way to a server: it refuses connections, cuts, freezes, or changes what passes."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias
from urllib.parse import urlsplit

from tests.integration.servers.container import a_port_of_its_own

Filter: TypeAlias = Callable[[bytes], bytes]
"""Makes of what the server sent what the client is to see."""


class Gate:
    """Carries connections from a port of its own, always the same, to a server."""

    def __init__(
        self, host: str, port: int, new_filter: Callable[[], Filter] = lambda: bytes
    ) -> None:
        self._target = (host, port)
        self._new_filter = new_filter
        self._server: asyncio.Server | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._writers: list[StreamWriter] = []
        self._letting_answers = asyncio.Event()
        self._letting_answers.set()
        self.port = a_port_of_its_own()
        """Where it listens, on 127.0.0.1."""

    async def open(self) -> None:
        """Let connections pass."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Cut every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            await self.cut()
            await self._server.wait_closed()
            self._server = None

    async def cut(self) -> None:
        """Cut every connection; new ones pass."""
        self.freeze()
        pumps, self._pumps = self._pumps, []
        await asyncio.gather(*pumps, return_exceptions=True)
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def freeze(self) -> None:
        """Carry nothing more on the connections there are, nor close them; new ones pass."""
        for pump in self._pumps:
            pump.cancel()

    def hold(self) -> None:
        """Keep back what the server says, on new connections too; what clients say goes through."""
        self._letting_answers.clear()

    def release(self) -> None:
        """Let everything through again that was held back."""
        self._letting_answers.set()

    async def _carry(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        self._writers.append(to_client)
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
        except OSError:  # the server itself is away
            to_client.close()
            return
        self._writers.append(to_server)
        self._pumps += [
            asyncio.create_task(_pump(from_client, to_server)),
            asyncio.create_task(
                _pump(from_server, to_client, self._new_filter(), self._letting_answers)
            ),
        ]


async def _pump(
    reader: StreamReader,
    writer: StreamWriter,
    see: Filter = bytes,
    letting: asyncio.Event | None = None,
) -> None:
    """Carry what comes, and then the end of it. One that is cancelled leaves the line open."""
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            if letting is not None:
                await letting.wait()
            writer.write(see(data))
            await writer.drain()
    writer.close()


@asynccontextmanager
async def gate_before(
    url: str, new_filter: Callable[[], Filter] = lambda: bytes
) -> AsyncIterator[Gate]:
    """An open gate before the server of a URL; it is shut on leaving."""
    parts = urlsplit(url)
    gate = Gate(parts.hostname or "127.0.0.1", parts.port or 0, new_filter)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.shut()


def by_way_of(url: str, port: int, credentials: str | None = None) -> str:
    """The URL with a port of this machine in the place of the server."""
    parts = urlsplit(url)
    if credentials is None:
        credentials = parts.netloc.rpartition("@")[0]
    place = f"127.0.0.1:{port}"
    return parts._replace(netloc=f"{credentials}@{place}" if credentials else place).geturl()
