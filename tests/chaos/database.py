"""The store's database, asked from outside Cueline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

SOON = 0.05
"""How long to wait before asking again a server that is away, in seconds."""

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What it looks like when the server is away, starts, or cuts us off."""


class Database:
    """Each question has a connection of its own: the last one may be dead."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(self, sql: str, *arguments: object) -> Sequence[Any]:
        """The rows of an answer. One of `AWAY` if the server is."""
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=60)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            connection.terminate()

    async def answer(self, sql: str, *arguments: object) -> Sequence[Any]:
        """The rows of an answer, whenever the server comes to give it."""
        while True:
            try:
                return await self.ask(sql, *arguments)
            except AWAY:
                await asyncio.sleep(SOON)
