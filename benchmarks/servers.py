"""The servers that the subjects work on: whether they are there, and what PostgreSQL uses."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import asyncpg
from redis.asyncio import Redis

from benchmarks.processes import name_of, parent_of, usage_of

PORTS = {"postgres": 5432, "redis": 6379, "rabbitmq": 5672}
DEFAULTS = {
    "postgres": "postgresql://postgres@127.0.0.1:5432",
    "redis": "redis://127.0.0.1:6379/6",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672/",
}
"""Where they are unless BENCH_POSTGRES, BENCH_REDIS or BENCH_RABBITMQ say otherwise.

The tests empty databases 8 to 15 of a Redis, so ours is another.
"""


def _urls() -> dict[str, str]:
    return {kind: os.environ.get(f"BENCH_{kind.upper()}") or url for kind, url in DEFAULTS.items()}


@dataclass
class Servers:
    """PostgreSQL, Redis and RabbitMQ, by URL."""

    urls: dict[str, str] = field(default_factory=_urls)

    @cached_property
    def there(self) -> frozenset[str]:
        """Those where somebody listens."""
        return frozenset(kind for kind, url in self.urls.items() if _listens(kind, url))

    def versions(self) -> dict[str, str]:
        """What those that are there say of themselves."""
        return {kind: asyncio.run(_version(kind, self.urls[kind])) for kind in sorted(self.there)}

    def database(self, name: str) -> str:
        """The URL of a database on this PostgreSQL."""
        return urlsplit(self.urls["postgres"])._replace(path=f"/{name}").geturl()

    def postgres_cpu(self) -> float | None:
        """The CPU seconds of PostgreSQL's processes so far; None where they cannot be seen.

        All of the server's: whatever else it does is in it.
        """
        return None if self._postmaster is None else usage_of(self._postmaster).cpu

    @cached_property
    def _postmaster(self) -> int | None:
        if "postgres" not in self.there:
            return None
        return asyncio.run(_postmaster(self.urls["postgres"]))


def execute(database: str, statements: Sequence[str]) -> None:
    """Run statements in a PostgreSQL database, each by itself, however long they take."""

    async def work() -> None:
        connection = await asyncpg.connect(database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(work())


def ask(database: str, question: str) -> Any:
    """The one value that a query of a PostgreSQL database answers."""
    return asyncio.run(_answer(database, question))


def _listens(kind: str, url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection(
            (parts.hostname or "127.0.0.1", parts.port or PORTS[kind]), timeout=2
        ):
            return True
    except OSError:
        return False


async def _version(kind: str, url: str) -> str:
    match kind:
        case "postgres":
            return str(await _answer(url, "SHOW server_version")).split()[0]
        case "redis":
            async with Redis.from_url(url) as redis:
                return str((await redis.info("server"))["redis_version"])
        case _:
            async with await aio_pika.connect(url) as connection:
                properties: Any = connection.transport.connection.server_properties  # type: ignore[union-attr]
                return str(properties["version"])


async def _postmaster(url: str) -> int | None:
    """The first of the server's processes, found as the parent of the one that serves us."""
    connection = await asyncpg.connect(url)
    try:
        backend = connection.get_server_pid()
        # A number from a container or another machine means something else here, or nothing.
        return parent_of(backend) if name_of(backend).startswith("postgres") else None
    finally:
        await connection.close()


async def _answer(url: str, question: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()
