"""Statements for many rows at once: the rows travel as one JSON parameter.

One statement for a batch costs the driver and SQLAlchemy once what an `executemany` costs them for
each row, and it can answer which rows it touched.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, String, Table, bindparam, func, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.selectable import TableValuedAlias

PARAMETER = "the_rows"


def as_parameter(rows: Sequence[Sequence[Any]] | Collection[str]) -> dict[str, str]:
    """Rows of plain JSON values, or a list of texts, as the statements below take them."""
    return {PARAMETER: orjson.dumps(rows).decode()}


def given() -> TableValuedAlias:
    """The rows that were given, as a table with the one column `value`."""
    return func.json_each(bindparam(PARAMETER, type_=String)).table_valued("value", name="given")


def field(rows: TableValuedAlias, position: int) -> ColumnElement[Any]:
    """One value of each row."""
    return func.json_extract(rows.c.value, text(f"'$[{position}]'"))


def among_given() -> Any:
    """The given texts, for `column.in_(...)`."""
    return select(given().c.value).scalar_subquery()


def insert_given(table: Table, columns: Sequence[str]) -> sqlite.Insert:
    """Insert the given rows, their values in the order of `columns`."""
    rows = given()
    values = select(*(field(rows, position) for position in range(len(columns))))
    # SQLite's grammar needs a WHERE here, lest ON CONFLICT be taken for a join's condition.
    return sqlite.insert(table).from_select(list(columns), values.where(text("true")))
