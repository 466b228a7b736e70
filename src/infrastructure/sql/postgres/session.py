"""A transaction on a PostgreSQL connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import Executable

from cueline.infrastructure.sql.batches import Batch
from cueline.infrastructure.sql.postgres.lines import Line, Lines, driving
from cueline.infrastructure.sql.postgres.together import one_statement
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.session import Parameters, Rows, Session, translated

FEW = 20
"""Up to so many rows are written together with others: then it is round trips that cost."""

Writing: TypeAlias = tuple[Batch, Sequence[Sequence[Any]]]
"""A batch, and the rows to be written."""


class PostgresSession(Session):
    """Statements on one connection. A batch is one statement, however many rows it has.

    Batches and fixed queries go straight to the driver, which prepares each once; whatever is built
    anew each time goes through SQLAlchemy. In a transaction small batches whose answers nobody
    needs are put off, so that several, of different tables, make one round trip.
    """

    dialect = "postgresql"

    def __init__(self, line: Line) -> None:
        self._line = line
        self._put_off: list[Writing] = []
        self.puts_off = False
        """Whether there is a commit to come, before which all must be written."""

    async def flush(self) -> None:
        """Write what was put off."""
        if put_off := self._put_off:
            self._put_off = []
            await self._write_together(put_off)

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        await self.flush()
        self._line.has_served_core = True
        with translated():
            result = await self._line.connection.execute(statement, parameters)
        return Rows(result.all(), -1) if result.returns_rows else Rows((), result.rowcount)

    async def scan(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        return await self.execute(statement, parameters)

    async def fetch(self, query: Query, parameters: Mapping[str, Any]) -> Sequence[Any]:
        if any(batch.table in query.tables for batch, _ in self._put_off):
            await self.flush()
        sql, order = query.postgres
        with driving():
            return await self._line.driver.fetch(sql, *[parameters[name] for name in order])

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        if not self.puts_off or len(rows) > FEW:
            await self._write(batch, rows)
        elif rows:
            if not self._goes_with_the_rest(batch):
                await self.flush()
            self._put_off.append((batch, rows))

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        changed = set(await self._write(batch, rows))
        return [row[batch.key] in changed for row in rows]

    async def _write(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """Execute a batch; the keys of the rows that changed something."""
        if not rows:
            return []
        if len(rows) > FEW or not self._goes_with_the_rest(batch):
            await self.flush()
        together, self._put_off = [*self._put_off, (batch, rows)], []
        return await self._write_together(together)

    def _goes_with_the_rest(self, batch: Batch) -> bool:
        """Whether it writes to no table that something which was put off writes to.

        The parts of a statement do not see one another's changes.
        """
        return all(batch.table is not other.table for other, _ in self._put_off)

    async def _write_together(self, batches: Sequence[Writing]) -> list[Any]:
        """Write all in one statement; what the last of them answers."""
        parts, given = in_parts(batches, in_few_forms=len(batches) > 1)
        with driving():
            answers = await self._line.driver.fetch(one_statement(parts), *given)
        return [row[0] for row in answers]


def in_parts(
    batches: Sequence[Writing], *, in_few_forms: bool
) -> tuple[tuple[str, ...], Iterator[Any]]:
    """The statements of these batches, and the parameters of all of them one after the other."""
    parts = [
        batch.postgres(batch.in_locking_order(rows), in_few_forms=in_few_forms)
        for batch, rows in batches
    ]
    return tuple(sql for sql, _ in parts), chain(*(given for _, given in parts))


class PostgresTransaction:
    """A transaction on a connection that goes back to the others at the end."""

    def __init__(self, line: Line, lines: Lines) -> None:
        self.session = PostgresSession(line)
        self._line = line
        self._lines = lines
        self._is_open = False
        self._committing: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Begin. Without it, each statement stands by itself and there is nothing to commit."""
        self._is_open = self.session.puts_off = True
        await self._say("BEGIN")

    async def commit(self) -> None:
        """Keep what was done. If cancelled, it goes on, and `end` waits for it."""
        if self._is_open:
            await self.session.flush()
            self._committing = asyncio.ensure_future(self._commit())
            await asyncio.shield(self._committing)

    async def end(self) -> None:
        """Undo what was not committed, and give the connection back, even if cancelled."""
        if self._is_open or self._line.has_served_core:
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
