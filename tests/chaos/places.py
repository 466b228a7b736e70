"""Where worlds are: the servers, each chosen when it is first wanted, and a clean place on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self
from uuid import uuid4

from cueline.infrastructure.sql.postgres.store import PostgresStore
from tests.chaos.database import Database
from tests.chaos.moves import keep_moves
from tests.integration.servers import postgres, redis
from tests.integration.servers.choice import choose
from tests.integration.servers.kind import Kind
from tests.integration.servers.postgres import POSTGRES
from tests.integration.servers.rabbitmq import RABBITMQ, Leavings
from tests.integration.servers.redis import REDIS
from tests.integration.servers.server import Server

KINDS = {"postgres": POSTGRES, "redis": REDIS, "rabbitmq": RABBITMQ}


class Places:
    """The servers of a campaign. Use it as a context: the servers that it started end with it.

    Entering raises NoServer if there is no PostgreSQL; the others are looked for when wanted. What
    outlasts a world is opened there, as an event loop that ends closes what was opened in it.
    """

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._stack = AsyncExitStack()
        self._template = f"cueline_chaos_{uuid4().hex[:10]}"
        self._redis_number: int | None = None

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._remove_servers)
        try:
            await self._make_template()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def server(self, name: str) -> Server:
        """A server by its name; NoServer if there is none to be had."""
        if name not in self._servers:
            kind: Kind = KINDS[name]
            self._servers[name] = await asyncio.to_thread(choose, kind, os.environ)
        return self._servers[name]

    @property
    def told(self) -> list[str]:
        """Which servers were used."""
        return [f"{server.kind.name} was {server.where}" for server in self._servers.values()]

    @asynccontextmanager
    async def database(self, namespace: str) -> AsyncIterator[str]:
        """The URL of a database with the tables of a store, which keeps the moves of its tasks."""
        server = await self.server("postgres")
        name = f"cueline_{namespace}"
        async with postgres.fresh_database(server, name, self._template) as url:
            yield url

    @asynccontextmanager
    async def broker(self, name: str, namespace: str) -> AsyncIterator[str]:
        """The URL of a clean place on a broker, and `store` for the one on the store."""
        if name == "postgres":
            yield "store"
            return
        server = await self.server(name)
        if name == "redis":
            if self._redis_number is None:
                number = self._stack.enter_context(redis.reserved_number(server))
                self._redis_number = number
            async with redis.fresh_database(server, self._redis_number) as url:
                yield url
            return
        leavings = Leavings(server)
        try:
            yield server.url
        finally:
            await server.mend()
            await leavings.add(namespace)
            await leavings.sweep()

    async def _make_template(self) -> None:
        server = await self.server("postgres")
        database = postgres.fresh_database(server, self._template)
        url = await self._stack.enter_async_context(database)
        store = PostgresStore(url)
        await store.open()
        await store.close()
        await keep_moves(Database(url))

    async def _remove_servers(self) -> None:
        for server in self._servers.values():
            await asyncio.to_thread(server.remove)
