"""RabbitMQ for tests: each names its queues and exchanges after its namespace."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import aio_pika

from tests.integration.servers.kind import Kind, exchange
from tests.integration.servers.server import Server

BATCH = 20
"""After so many tests their queues are deleted: each look costs half a second."""

START = b"\x01"
"""The type of the frame with which a server of AMQP 0-9-1 opens the conversation."""


def answers(host: str, port: int) -> bool:
    """Greet, and be greeted. The server listens only when all else is done."""
    return exchange(host, port, b"AMQP\x00\x00\x09\x01").startswith(START)


RABBITMQ = Kind(
    name="RabbitMQ",
    setting="CUELINE_TEST_RABBITMQ",
    address="amqp://guest:guest@127.0.0.1:5672/",
    image="rabbitmq:4",
    command=("rabbitmq-server",),
    answers=answers,
)


class Leavings:
    """What tests left on a server, by their namespaces, until it is swept away.

    AMQP has no way to ask for names. They come from `rabbitmqctl`: that of our container, else that
    of this machine; on a server far away what was left remains.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._namespaces: list[str] = []

    async def add(self, namespace: str) -> None:
        """Note that a test has ended; sweep if many have."""
        self._namespaces.append(namespace)
        if len(self._namespaces) >= BATCH:
            await self.sweep()

    async def sweep(self) -> None:
        """Delete every queue and exchange of the tests that have ended."""
        ended, self._namespaces = tuple(self._namespaces), []
        if not ended:
            return
        queues = [name for name in self._names("list_queues") if name.startswith(ended)]
        exchanges = [name for name in self._names("list_exchanges") if name.startswith(ended)]
        if not queues and not exchanges:
            return
        connection = await aio_pika.connect(self._server.url)
        async with connection, connection.channel() as channel:
            await asyncio.gather(*(channel.queue_delete(name) for name in queues))
            await asyncio.gather(*(channel.exchange_delete(name) for name in exchanges))

    def _names(self, listing: str) -> Iterator[str]:
        host = unquote(urlsplit(self._server.url).path[1:]) or "/"
        command = ("rabbitmqctl", "--quiet", "--vhost", host, listing, "--no-table-headers", "name")
        listed = ""
        if self._server.controllable:
            listed = self._server.run(*command)
        elif shutil.which("rabbitmqctl") is not None:
            with suppress(subprocess.CalledProcessError):  # it may be for root alone
                listed = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
        return filter(None, map(str.strip, listed.splitlines()))
