"""Noticing that another process has written to the SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from cueline.infrastructure.sql.broker import Watch

INTERVAL = 0.01
"""How often to look, in seconds: half of it is the latency between processes, on average."""


class FileWatch(Watch):
    """Asks SQLite for the file's `data_version`, which moves with every commit of anyone else.

    The question takes some five microseconds and no lock, so it is asked on the event loop, on a
    connection of its own that never writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Nothing to do before the first question."""

    def published(self) -> None:
        """Nothing to do: the commit itself is what the others see."""

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def version(self) -> int:
        """A number that differs from the last one if anything was committed in between."""
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
        row = self._connection.execute("PRAGMA data_version").fetchone()
        return int(row[0])

    async def changed(self, since: int) -> None:
        """Return once the version is no longer `since`."""
        while self.version() == since:  # noqa: ASYNC110  # SQLite has nothing to wait on
            await asyncio.sleep(INTERVAL)
