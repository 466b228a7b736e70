"""Connections that a test has left open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.integration.servers.server import Server

CLOSING = 2.0
"""How long a connection may take to close after the test, in seconds."""

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LOCAL, REMOTE, INODE = 1, 2, 9
"""The columns of those tables; an address is `hex:hex`."""


@asynccontextmanager
async def no_connection_left(server: Server, closing: float = CLOSING) -> AsyncIterator[None]:
    """Raise AssertionError if this process has more connections to the server after than before.

    On a system without /proc nothing is found.
    """
    before = connections(server.port).keys()
    yield
    deadline = time.monotonic() + closing
    while left := {
        inode: port for inode, port in connections(server.port).items() if inode not in before
    }:
        if time.monotonic() > deadline:
            ports = ", ".join(str(port) for port in sorted(left.values()))
            raise AssertionError(
                f"the test has left {len(left)} connection(s) to {server.kind.name} open, "
                f"from port {ports}: something that it opened was not closed"
            )
        await asyncio.sleep(0.01)


def connections(port: int) -> dict[str, int]:
    """The sockets of this process that are connected to a port: their inodes, and local ports."""
    own = set(_own_sockets())
    return {
        columns[INODE]: _port(columns[LOCAL])
        for table in TABLES
        if table.exists()
        for columns in map(str.split, table.read_text().splitlines()[1:])
        if columns[INODE] in own and _port(columns[REMOTE]) == port
    }


def _own_sockets() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            kind, _, inode = str(descriptor.readlink()).partition(":")
            if kind == "socket":
                yield inode.strip("[]")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
