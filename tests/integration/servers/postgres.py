"""PostgreSQL for tests: each has a database of its own."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from tests.integration.servers.kind import Kind, exchange
from tests.integration.servers.server import Server

PROTOCOL_3 = 196608
LET_IN = struct.pack("!cii", b"R", 8, 0)
"""The server's first words when it is ready and asks for no password."""


def answers(host: str, port: int) -> bool:
    """Begin a session, as a client does. While the server starts it says no to that."""
    settings = b"user\0postgres\0database\0postgres\0\0"
    hello = struct.pack("!ii", 8 + len(settings), PROTOCOL_3) + settings
    return exchange(host, port, hello).startswith(LET_IN)


POSTGRES = Kind(
    name="PostgreSQL",
    setting="CUELINE_TEST_POSTGRES",
    address="postgresql://postgres@127.0.0.1:5432",
    image="postgres:16",
    command=("postgres", "-c", "max_connections=300"),
    environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
    stop_signal="SIGINT",
    answers=answers,
)


@asynccontextmanager
async def fresh_database(
    server: Server, name: str, template: str = "template1"
) -> AsyncIterator[str]:
    """A copy of another database, by its URL; an empty one as a rule.

    It is dropped on leaving, whoever is still connected.
    """
    await _administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlsplit(server.url)._replace(path=f"/{name}").geturl()
    finally:
        await server.mend()
        await _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(server: Server, statement: str) -> None:
    url = urlsplit(server.url)
    connection = await asyncpg.connect(url._replace(path=url.path or "/postgres").geturl())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
