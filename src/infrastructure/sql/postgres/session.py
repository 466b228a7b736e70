"""A transaction on a PostgreSQL connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable

from cueline.infrastructure.sql.batches import Batch
from cueline.infrastructure.sql.postgres.lines import Line, Lines, driving
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.session import Parameters, Rows, Session, translated


class PostgresSession(Session):
    """Statements on one connection. A batch is one statement, however many rows it has.

    Batches and fixed queries go straight to the driver, which prepares each once; whatever is built
    anew each time goes through SQLAlchemy.
    """

    dialect = "postgresql"

    def __init__(self, line: Line) -> None:
        self._line = line

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        with translated():
            result = await self._line.connection.execute(statement, parameters)
        return Rows(result.all(), -1) if result.returns_rows else Rows((), result.rowcount)

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        return await self.execute(statement, parameters)

    async def fetch(self, query: Query, parameters: Mapping[str, Any]) -> Sequence[Any]:
        sql, order = query.postgres
        with driving():
            return await self._line.driver.fetch(sql, *[parameters[name] for name in order])

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> int:
        return len(await self._write(batch, rows))

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        changed = set(await self._write(batch, rows))
        return [row[batch.key] in changed for row in rows]

    async def _write(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Execute a batch; the keys of the rows that changed something."""
        if not rows:
            return []
        sql, parameters = batch.postgres(batch.in_locking_order(rows))
        with driving():
            return [row[0] for row in await self._line.driver.fetch(sql, *parameters)]


class PostgresTransaction:
    """A transaction on a connection that goes back to the others at the end."""

    def __init__(self, line: Line, lines: Lines) -> None:
        self.session: Session = PostgresSession(line)
        self._line = line
        self._lines = lines
        self._is_open = False
        self._committing: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Begin. Without it, each statement stands by itself and there is nothing to commit."""
        self._is_open = True
        await self._say("BEGIN")

    async def commit(self) -> None:
        """Keep what was done. If cancelled, it goes on, and `end` waits for it."""
        if self._is_open:
            self._committing = asyncio.ensure_future(self._commit())
            await asyncio.shield(self._committing)

    async def end(self) -> None:
        """Undo what was not committed, and give the connection back, even if cancelled."""
        if self._is_open or self._line.connection.in_transaction():
            await asyncio.shield(asyncio.ensure_future(self._end()))
        else:
            await self._lines.give_back(self._line)  # at once: there is nothing to be said

    async def _commit(self) -> None:
        await self._say("COMMIT")
        self._is_open = False

    async def _end(self) -> None:
        try:
            if self._committing is not None and not self._committing.done():
                await asyncio.wait([self._committing])
            if self._is_open and not self._line.driver.is_closed():
                await self._say("ROLLBACK")
        except BaseException:
            self._line.driver.terminate()  # in what state it is, nobody knows
            raise
        finally:
            await self._lines.give_back(self._line)

    async def _say(self, word: str) -> None:
        with driving():
            await self._line.driver.execute(word)
