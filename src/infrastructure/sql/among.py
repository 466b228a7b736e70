"""`column IN (these texts)`, the texts being one parameter however many they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

PARAMETER = "the_values"


class Texts(TypeDecorator[Collection[str]]):
    """A list of texts: an array on Postgres, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> Any:
        """Write."""
        values = list(value or ())
        return values if dialect.name == "postgresql" else orjson.dumps(values).decode()


class _Among(GenericFunction[Any]):
    inherit_cache = True
    type = NullType()  # were it Boolean, SQLite would be asked whether it `= 1`, past all indexes
    name = "cueline_among"


@compiles(_Among, "sqlite")
def _on_sqlite(among: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in among.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  # compiled parts


@compiles(_Among, "postgresql")
def _on_postgres(among: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in among.clauses)
    return f"{column} = ANY ({values})"


def among(column: ColumnElement[Any], name: str = PARAMETER) -> ColumnElement[bool]:
    """Whether a column holds one of the texts that the parameter `name` gives as a list."""
    return _Among(column, bindparam(name, type_=Texts()))


def these(values: Collection[str]) -> dict[str, list[str]]:
    """The texts, as the parameter that `among` takes."""
    return {PARAMETER: list(values)}
