"""Statements that never change: compiled once for each dialect, and executed by the driver."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sqlalchemy import CompoundSelect, FromClause, Select, Table, Update
from sqlalchemy.sql.visitors import iterate

from cueline.infrastructure.sql.batches import ASYNCPG


class Query:
    """A statement over plain values that answers rows; it reads them, or changes them as it goes.

    Its parameters are all given by name, and are, like the columns of its rows, of types that the
    driver takes and gives as they are: texts, numbers, lists of texts.
    """

    def __init__(self, statement: Select[Any] | CompoundSelect[Any] | Update) -> None:
        self.statement = statement

    @cached_property
    def tables(self) -> frozenset[FromClause]:
        """The tables that it reads or changes, however deep within."""
        parts = iterate(self.statement)
        return frozenset(part for part in parts if isinstance(part, Table))

    @cached_property
    def postgres(self) -> tuple[str, tuple[str, ...]]:
        """The SQL, and the names of its parameters in their order."""
        compiled = self.statement.compile(dialect=ASYNCPG)
        return str(compiled), tuple(compiled.positiontup or ())
