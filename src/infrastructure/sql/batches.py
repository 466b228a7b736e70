"""Statements for many rows at once.

On the hot path rows do not pass through SQLAlchemy's parameter processing. A `Batch` is a Core
statement compiled once, executed by the driver for rows of plain values; a list of identifiers
travels as one JSON parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import String, Table, UpdateBase, bindparam, func, select
from sqlalchemy.dialects import sqlite

PARAMETER = "the_values"


class Batch:
    """A statement to be executed for each of many rows, their values in the order of `names`."""

    def __init__(self, statement: UpdateBase, names: Sequence[str]) -> None:
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        if compiled.positiontup != list(names):
            raise ValueError(f"the statement takes {compiled.positiontup}, not {list(names)}")
        self.sql = str(compiled)


def insert_batch(table: Table, columns: Sequence[str], *, or_ignore: bool = False) -> Batch:
    """Insert rows of these columns, leaving out those that are there already if so told."""
    insert = sqlite.insert(table).values({name: bindparam(name) for name in columns})
    return Batch(insert.on_conflict_do_nothing() if or_ignore else insert, columns)


def as_parameter(values: Collection[str]) -> dict[str, str]:
    """A list of texts, as `among_given` takes it."""
    return {PARAMETER: orjson.dumps(list(values)).decode()}


def among_given() -> Any:
    """The given texts, for `column.in_(...)`."""
    given = func.json_each(bindparam(PARAMETER, type_=String)).table_valued("value", name="given")
    return select(given.c.value).scalar_subquery()
