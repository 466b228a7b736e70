"""The three stores, each in a place that is quickly emptied; two processes share a database."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from cueline.application.ports.persistence import Store
from cueline.infrastructure.memory.store import MemoryStore
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.sql.tables import identity, metadata

_EMPTY = "; ".join(
    f"DELETE FROM {table.name}" for table in metadata.sorted_tables if table is not identity
)
"""Quicker than TRUNCATE for the few rows that an example leaves."""


class Place(ABC):
    """A store, as the processes that share it have it open."""

    name: str
    processes: Sequence[Store]

    @abstractmethod
    async def open(self) -> None:
        """Open the store in every process."""

    @abstractmethod
    async def close(self) -> None:
        """Close it everywhere."""

    @abstractmethod
    async def empty(self) -> None:
        """Make it a new store, while nobody is in a transaction."""


class InMemory(Place):
    """The measure for the others. It reaches no further than its process, so there is one only."""

    name = "memory"

    async def open(self) -> None:
        await self.empty()

    async def close(self) -> None:
        """Nothing to close."""

    async def empty(self) -> None:
        self.processes = [MemoryStore()] * 2


class _InDatabase(Place):
    processes: Sequence[SqliteStore] | Sequence[PostgresStore]

    async def open(self) -> None:
        for store in self.processes:
            await store.open()

    async def close(self) -> None:
        for store in self.processes:
            await store.close()

    async def empty(self) -> None:
        await self._delete_all()
        for store in self.processes:  # what they know cannot become false, except by our deleting
            store._memory.documents.clear()
            store._memory.queues.clear()

    @abstractmethod
    async def _delete_all(self) -> None: ...


class InSqlite(_InDatabase):
    """A file."""

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self.processes = [SqliteStore(path), SqliteStore(path)]
        self._path = path
        self._aside: sqlite3.Connection | None = None

    async def open(self) -> None:
        await super().open()
        self._aside = sqlite3.connect(self._path, isolation_level=None)
        self._aside.execute("PRAGMA synchronous = OFF")

    async def close(self) -> None:
        if self._aside is not None:
            self._aside.close()
        await super().close()

    async def _delete_all(self) -> None:
        assert self._aside is not None
        self._aside.executescript(f"BEGIN; {_EMPTY}; COMMIT")


class InPostgres(_InDatabase):
    """A database on a server."""

    name = "PostgreSQL"

    def __init__(self, url: str) -> None:
        self.processes = [PostgresStore(url), PostgresStore(url)]
        self._url = url
        self._aside: asyncpg.Connection[asyncpg.Record] | None = None

    async def open(self) -> None:
        await super().open()
        self._aside = await asyncpg.connect(
            self._url, server_settings={"synchronous_commit": "off"}
        )

    async def close(self) -> None:
        if self._aside is not None:
            await self._aside.close()
        await super().close()

    async def _delete_all(self) -> None:
        assert self._aside is not None
        await self._aside.execute(_EMPTY)
