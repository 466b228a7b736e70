"""A transaction on a SQLite connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Executable

from cueline.infrastructure.sql.batches import Batch
from cueline.infrastructure.sql.session import Parameters, Rows, Session
from cueline.infrastructure.sql.sqlite.line import Line

BRIEF = 250
"""How many rows may be written on the event loop; larger batches go to a thread."""


class SqliteTransaction:
    """A transaction on a line, which goes back to the queue of lines at the end."""

    def __init__(self, line: Line, lines: asyncio.Queue[Line], *, durable: bool) -> None:
        self.session: Session = SqliteSession(line, durable=durable)
        self._line = line
        self._lines = lines

    async def commit(self) -> None:
        """Keep what was done."""
        await self._line.commit()

    async def end(self) -> None:
        """Undo what was not committed, and give the line back, even if cancelled."""
        ending = asyncio.ensure_future(self._line.rest())
        ending.add_done_callback(lambda _: self._lines.put_nowait(self._line))
        await asyncio.shield(ending)


class SqliteSession(Session):
    """A transaction on a line; it begins with the first statement."""

    dialect = "sqlite"

    def __init__(self, line: Line, *, durable: bool) -> None:
        self._line = line
        self._durable = durable

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute a brief statement, here."""
        await self._line.begin(self._durable)
        return self._line.briefly(lambda connection: _fetch(connection, statement, parameters))

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        await self._write(batch, rows)

    async def _write(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> int:
        """Execute a batch: here if it is brief, on the thread if it is large.

        Answers how many rows were changed in all.
        """
        if not rows:
            return 0
        await self._line.begin(self._durable)
        if len(rows) <= BRIEF:
            return self._line.briefly(lambda connection: _write(connection, batch, rows))
        return await self._line.aside(
            lambda: self._line.briefly(lambda connection: _write(connection, batch, rows))
        )

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        """Write all at once, which nearly always changes each; if not, go back and write singly."""
        if len(rows) == 1:
            return [await self._write(batch, rows) == 1]
        await self._line.begin(self._durable)
        self._line.say("SAVEPOINT a_batch")
        count = await self._write(batch, rows)
        if count != len(rows):
            self._line.say("ROLLBACK TO SAVEPOINT a_batch")
        self._line.say("RELEASE SAVEPOINT a_batch")
        if count == len(rows):
            return [True] * count
        return [await self._write(batch, [row]) == 1 for row in rows]

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute a statement that may look at many rows."""
        await self._line.begin(self._durable)
        return await self._line.aside(
            lambda: self._line.briefly(lambda connection: _fetch(connection, statement, parameters))
        )


def _write(connection: Connection, batch: Batch, rows: Sequence[Sequence[Any]]) -> int:
    result = connection.exec_driver_sql(batch.sqlite, [tuple(row) for row in rows])
    return result.rowcount


def _fetch(connection: Connection, statement: Executable, parameters: Parameters | None) -> Rows:
    result = connection.execute(statement, parameters)
    if result.returns_rows:
        return Rows(result.all(), -1)
    return Rows((), result.rowcount)
