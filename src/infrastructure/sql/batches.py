"""Statements for many rows at once.

On the hot path rows do not pass through SQLAlchemy's parameter processing. A `Batch` is a Core
statement compiled once for each dialect and executed by the driver for rows of plain values: on
SQLite once for each row, on Postgres once for all of them. One row is given as it is; of several
each column as an array, or a string of texts, or, where all rows agree in it, as one value. Most of
what a claim or a settlement writes is such.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any, TypeAlias

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Dialect,
    FromClause,
    Insert,
    String,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.types import TypeDecorator, TypeEngine

from cueline.infrastructure.sql.strings import string_of, taken_apart

Line: TypeAlias = Sequence[Any]
"""The plain values of one row."""

Given: TypeAlias = Mapping[str, ColumnElement[Any]]
"""The values of a row, by name, as a statement refers to them."""

INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""`INSERT ... ON CONFLICT`, which each dialect spells for itself."""

MOST_FORMS = 64
"""How many statements are made of one batch; a connection prepares each at its first use."""

ASYNCPG: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
"""As which statements are compiled that the driver executes itself."""


Places: TypeAlias = frozenset[int]
"""Some of a row's values, by their places in it."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A batch's statement, and in what order and how it is given the rows' values.

    As one, if all rows are `alike` in it; or else as a string of texts, or as an array.
    """

    sql: str
    order: Sequence[int]
    alike: Places
    strings: Places


class Batch(ABC):
    """A statement to be executed for each of many rows, their values in the order of `names`.

    Each row changes one row of the table or none. No two rows of a batch agree in their key, if it
    matters which of them changed something.
    """

    def __init__(
        self, columns: Mapping[str, Column[Any]], key: str, answer: Column[Any], lock_by: str
    ) -> None:
        """Describe it: the values by name, each with the column whose type it has.

        `key` is the value that tells the rows apart, `answer` the table's column that holds it.
        Rows are locked in the order of `lock_by`: transactions that all do so cannot wait for one
        another in a circle.
        """
        self._columns = columns
        self.answer = answer
        self.names = tuple(columns)
        self.key = self.names.index(key)
        self._lock_by = self.names.index(lock_by)
        self._texts: Places = frozenset(
            place
            for place, column in enumerate(columns.values())
            if isinstance(_plain(column.type), Text)
        )
        self._all: Places = frozenset(range(len(columns)))
        self._forms: dict[tuple[Places, Places], _Form] = {}

    @abstractmethod
    def one(self, dialect: str) -> Insert | Update | Delete:
        """The statement for one row, with a parameter for each name."""

    @abstractmethod
    def _many(self, given: Given) -> Insert | Update | Delete:
        """The statement for Postgres, over rows that are `given` like a table."""

    @cached_property
    def sqlite(self) -> str:
        """The SQL for one row."""
        compiled = self.one("sqlite").compile(dialect=sqlite.dialect(paramstyle="qmark"))
        if tuple(compiled.positiontup or ()) != self.names:
            raise ValueError(f"the statement takes {compiled.positiontup}, not {self.names}")
        return str(compiled)

    @property
    def table(self) -> FromClause:
        """The table that is written to."""
        return self.answer.table

    def postgres(
        self, rows: Sequence[Line], *, in_few_forms: bool = False
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL for all of these rows, and its parameters.

        It answers the keys of the rows that it changed. `in_few_forms`, it is one of two (or, for
        texts of which no string can be made, three): for one row, and for several whatever they
        agree in.
        """
        columns = list(zip(*rows, strict=True))
        if len(columns) != len(self.names):
            raise ValueError(f"rows of {len(columns)} values, not of {len(self.names)}")
        if len(rows) == 1:
            sql, order = self._for_one
            return sql, tuple([rows[0][place] for place in order])
        alike: Places = frozenset()
        if not in_few_forms:
            alike = frozenset(place for place in self._all if _are_alike(columns[place]))
        form = self._form(alike - {self.key}, self._texts)
        strings = {place: string_of(columns[place]) for place in form.strings}
        if None in strings.values():
            form, strings = self._form(alike - {self.key}, frozenset()), {}
        return form.sql, tuple(
            columns[place][0] if place in form.alike else strings.get(place) or columns[place]
            for place in form.order
        )

    @cached_property
    def _for_one(self) -> tuple[str, Sequence[int]]:
        """The SQL for one row, and the places of its parameters among the row's values."""
        compiled = self.one("postgresql").returning(self.answer).compile(dialect=ASYNCPG)
        return str(compiled), [self.names.index(name) for name in compiled.positiontup or ()]

    def _form(self, alike: Places, texts: Places) -> _Form:
        """The statement for rows that agree in these values, or in any, if there are too many."""
        if (alike, texts) not in self._forms and len(self._forms) >= MOST_FORMS:
            alike = frozenset()
        if (form := self._forms.get((alike, texts))) is None:
            form = self._forms[alike, texts] = self._compiled(alike, texts - alike)
        return form

    def _compiled(self, alike: Places, strings: Places) -> _Form:
        types = {name: _plain(column.type) for name, column in self._columns.items()}
        single = {self.names[place] for place in alike}
        joined = {self.names[place] for place in strings}
        each = {name: type for name, type in types.items() if name not in single}
        arrays = [
            taken_apart(name) if name in joined else cast(bindparam(name), ARRAY(type))
            for name, type in each.items()
        ]
        rows = func.unnest(*arrays).table_valued(*(column(*item) for item in each.items()))
        table = rows.render_derived(name="given").c
        given = {
            name: cast(bindparam(name), type) if name in single else table[name]
            for name, type in types.items()
        }
        compiled = self._many(given).returning(self.answer).compile(dialect=ASYNCPG)
        order = [self.names.index(name) for name in compiled.positiontup or ()]
        return _Form(str(compiled), order, alike, strings)

    def _bound(self) -> dict[str, BindParameter[Any]]:
        """A parameter for each value, of a type that the driver takes as it is."""
        return {
            name: bindparam(name, type_=_plain(column.type))
            for name, column in self._columns.items()
        }

    def in_locking_order(self, rows: Sequence[Line]) -> list[Line]:
        """The rows as they should be written; those without a value to lock by come first."""
        return sorted(rows, key=lambda row: row[self._lock_by] or "")


class OnConflict(Enum):
    """What becomes of a row that would collide with one that is there."""

    LEAVE_OUT = auto()
    REPLACE = auto()
    """It replaces the one that has its primary key."""
    FAIL = auto()


class InsertBatch(Batch):
    """Insert rows."""

    def __init__(
        self,
        table: Table,
        names: Sequence[str],
        *,
        key: str,
        lock_by: str | None = None,
        on_conflict: OnConflict = OnConflict.LEAVE_OUT,
    ) -> None:
        super().__init__({name: table.c[name] for name in names}, key, table.c[key], lock_by or key)
        self._table = table
        self._on_conflict = on_conflict

    def one(self, dialect: str) -> Insert:
        return self._minding(INSERTS[dialect](self._table).values(self._bound()))

    def _many(self, given: Given) -> Insert:
        insert = postgresql.insert(self._table).from_select(self.names, select(*given.values()))
        return self._minding(insert)

    def _minding(self, insert: sqlite.Insert | postgresql.Insert) -> Insert:
        match self._on_conflict:
            case OnConflict.LEAVE_OUT:
                return insert.on_conflict_do_nothing()
            case OnConflict.REPLACE:
                keys = [column.name for column in self._table.primary_key.columns]
                others = [name for name in self.names if name not in keys]
                return insert.on_conflict_do_update(
                    index_elements=keys, set_={name: insert.excluded[name] for name in others}
                )
            case OnConflict.FAIL:
                return insert


class GuardedInsertBatch(Batch):
    """Insert the rows that fulfil a condition; those that would collide are left out, too.

    `asked` are values for the condition alone, which come after those of the columns.
    """

    def __init__(
        self,
        table: Table,
        names: Sequence[str],
        asked: Mapping[str, Column[Any]],
        condition: Callable[[Given], ColumnElement[bool]],
        *,
        key: str,
        lock_by: str,
    ) -> None:
        super().__init__(
            {**{name: table.c[name] for name in names}, **asked}, key, table.c[key], lock_by
        )
        self._table = table
        self._inserted = names
        self._condition = condition

    def one(self, dialect: str) -> Insert:
        return self._insert(dialect, self._bound())

    def _many(self, given: Given) -> Insert:
        return self._insert("postgresql", given)

    def _insert(self, dialect: str, given: Given) -> Insert:
        row = select(*(given[name] for name in self._inserted)).where(self._condition(given))
        insert = INSERTS[dialect](self._table).from_select(self._inserted, row)
        return insert.on_conflict_do_nothing()


class ChangeBatch(Batch):
    """Update or delete rows, as `build` says of the values of one."""

    def __init__(
        self,
        columns: Mapping[str, Column[Any]],
        build: Callable[[Given], Update | Delete],
        *,
        key: str,
        answer: Column[Any],
    ) -> None:
        super().__init__(columns, key, answer, key)
        self._build = build

    def one(self, dialect: str) -> Update | Delete:
        return self._build(self._bound())

    def _many(self, given: Given) -> Update | Delete:
        return self._build(given)


def _are_alike(column: Sequence[Any]) -> bool:
    """Whether all values are the same; mostly the first and the last tell already."""
    return bool(column[0] == column[-1]) and column.count(column[0]) == len(column)


def _plain(type: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type as the driver knows it, without a length, which an array does not need."""
    if isinstance(type, TypeDecorator):
        type = type.impl_instance
    return Text() if isinstance(type, String) else type
