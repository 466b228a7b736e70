"""Statements that never change: compiled once for each dialect, and executed by the driver."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from sqlalchemy import (
    ClauseElement,
    CompoundSelect,
    Executable,
    FromClause,
    Select,
    Table,
    Update,
    UpdateBase,
)
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
    def only_reads(self) -> bool:
        """Whether it neither changes nor locks anything."""
        return only_reads(self.statement)

    @cached_property
    def postgres(self) -> tuple[str, tuple[str, ...]]:
        """The SQL, and the names of its parameters in their order."""
        compiled = self.statement.compile(dialect=ASYNCPG)
        return str(compiled), tuple(compiled.positiontup or ())


def only_reads(statement: Executable) -> bool:
    """Whether a statement neither changes nor locks anything, however deep within."""
    parts = iterate(cast("ClauseElement", statement))
    return not any(
        isinstance(part, UpdateBase) or getattr(part, "_for_update_arg", None) is not None
        for part in parts
    )
