"""Whether a column with a list of texts, kept as JSON, holds one of them: exactly that one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType


class _Holds(GenericFunction[Any]):
    inherit_cache = True
    type = NullType()  # were it Boolean, SQLite would be asked whether it `= 1`
    name = "cueline_holds"


@compiles(_Holds, "sqlite")
def _on_sqlite(holds: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, value = (compiler.process(clause, **options) for clause in holds.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = {value})"  # noqa: S608  # compiled parts


@compiles(_Holds, "postgresql")
def _on_postgres(holds: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, value = (compiler.process(clause, **options) for clause in holds.clauses)
    return f"CAST({column} AS JSONB) ? {value}"


def holds(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether the column holds the text. A search within the JSON would find parts of others."""
    return _Holds(column, literal(text, Text()))
