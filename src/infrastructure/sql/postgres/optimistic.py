"""Units of work that expect all to go well, and so need one statement only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import Executable

from cueline.domain.errors import Outdated
from cueline.infrastructure.sql.batches import Batch
from cueline.infrastructure.sql.postgres.lines import Line, Lines, driving
from cueline.infrastructure.sql.postgres.session import PostgresSession, Writing, in_parts
from cueline.infrastructure.sql.postgres.together import UNEXPECTED, all_or_nothing
from cueline.infrastructure.sql.queries import Query, only_reads
from cueline.infrastructure.sql.session import Parameters, Rows
from cueline.infrastructure.sql.tables import runs


class OptimisticSession(PostgresSession):
    """Puts off all that is to be written, and says of what is asked for that it will be done.

    The statement that writes it in the end fails, and so changes nothing at all, if that is wrong.
    What is read in between is read at once, unless it would have to show what was put off. All else
    takes a transaction.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._promised: list[Writing] = []

    async def flush(self) -> None:
        """Somebody wants to see what was put off."""
        if self._promised or self._put_off:
            raise Outdated("what was written is to be read before the commit")

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        if not only_reads(statement):
            raise Outdated("this takes a transaction")
        return await super().execute(statement, parameters)

    async def fetch(self, query: Query, parameters: Mapping[str, Any]) -> Sequence[Any]:
        if not query.only_reads:
            raise Outdated("this takes a transaction")
        if any(batch.table in query.tables for batch, _ in self._promised):
            await self.flush()
        return await super().fetch(query, parameters)

    async def write_many(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        self._put_off_once(self._put_off, batch, rows)

    async def write_each(self, batch: Batch, rows: Sequence[Sequence[Any]]) -> list[bool]:
        self._put_off_once(self._promised, batch, rows)
        return [True] * len(rows)

    async def write_all(self) -> None:
        """Write what was put off, or raise `Outdated`.

        Runs are locked first, as everywhere; then what else was promised. PostgreSQL carries out
        the rest from the last to the first.
        """
        promised = sorted(self._promised, key=lambda writing: writing[0].table is not runs)
        writings = [*promised, *reversed(self._put_off)]
        self._promised, self._put_off = [], []
        if not writings:
            return
        parts, given = in_parts(writings, in_few_forms=True)
        sql = all_or_nothing(parts, len(promised))
        try:
            with driving():
                await self._line.driver.fetch(sql, *given, *(len(rows) for _, rows in promised))
        except asyncpg.InvalidTextRepresentationError as error:
            if UNEXPECTED in str(error):
                raise Outdated("something is not as it was") from error
            raise

    @staticmethod
    def _put_off_once(writings: list[Writing], batch: Batch, rows: Sequence[Sequence[Any]]) -> None:
        if any(batch is other for other, _ in writings):
            raise Outdated("the same is written twice")
        if rows:
            writings.append((batch, rows))


class OptimisticTransaction:
    """A transaction that is said in one go."""

    def __init__(self, line: Line, lines: Lines) -> None:
        self.session = OptimisticSession(line)
        self._line = line
        self._lines = lines

    async def commit(self) -> None:
        """Write all. If cancelled, it may or may not be written, as if the answer were lost."""
        await self.session.write_all()

    async def end(self) -> None:
        """Give the connection back: what was not committed was never sent."""
        await self._lines.give_back(self._line)
