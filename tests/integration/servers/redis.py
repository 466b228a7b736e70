"""Redis for tests: each has a database of its own, by number."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis.asyncio import Redis

from tests.integration.servers.kind import Kind, exchange
from tests.integration.servers.server import Server

NUMBERS = range(8, 16)
"""The databases that tests use, and empty; people rather use the first ones."""


def answers(host: str, port: int) -> bool:
    """Ping. While the server loads its data, or wants a password, the answer is an error."""
    return exchange(host, port, b"PING\r\n").startswith(b"+PONG")


REDIS = Kind(
    name="Redis",
    setting="CUELINE_TEST_REDIS",
    address="redis://127.0.0.1:6379",
    image="redis:7",
    command=("redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"),
    answers=answers,
)


@contextmanager
def reserved_number(server: Server) -> Iterator[int]:
    """The number of a database that no other test run on this machine uses meanwhile."""
    for number in NUMBERS:
        file = Path(tempfile.gettempdir(), f"cueline-test-redis-{server.port}-{number}.lock")
        with file.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise RuntimeError(f"all of the databases {NUMBERS.start} to {NUMBERS.stop - 1} are in use")


@asynccontextmanager
async def fresh_database(server: Server, number: int) -> AsyncIterator[str]:
    """An empty database, by its URL. It is emptied again on leaving."""
    url = urlsplit(server.url)._replace(path=f"/{number}").geturl()
    await _empty(url)
    try:
        yield url
    finally:
        await server.mend()
        await _empty(url)


async def _empty(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.flushdb()
