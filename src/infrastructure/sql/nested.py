"""The rows of a subquery as one value, so that they come along with the row that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class _RowsAsJson(GenericFunction[str]):
    inherit_cache = True
    type = Text()
    name = "cueline_rows_as_json"


@compiles(_RowsAsJson, "sqlite")
def _on_sqlite(rows: _RowsAsJson, compiler: SQLCompiler, **options: Any) -> str:
    columns = ", ".join(compiler.process(clause, **options) for clause in rows.clauses)
    return f"json_group_array(json_array({columns})) || ''"  # a text also within other JSON


@compiles(_RowsAsJson, "postgresql")
def _on_postgres(rows: _RowsAsJson, compiler: SQLCompiler, **options: Any) -> str:
    columns = ", ".join(compiler.process(clause, **options) for clause in rows.clauses)
    return f"CAST(json_agg(json_build_array({columns})) AS TEXT)"


def rows_as_json(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """All rows of a query, for `rows_of`. Texts, whole numbers and None survive it exactly."""
    return _RowsAsJson(*columns)


def rows_of(value: str | None) -> Sequence[Sequence[Any]]:
    """The rows that `rows_as_json` made a text of."""
    rows: Sequence[Sequence[Any]] = orjson.loads(value) if value else ()
    return rows
