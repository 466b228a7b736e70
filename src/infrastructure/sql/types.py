"""Column types that keep the domain's values: moments in time and JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Dialect, String, Text, type_coerce
from sqlalchemy.dialects.postgresql import VARCHAR
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """A moment as whole microseconds since 1970, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The moment, in UTC, so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=count)


def count_of(moment: datetime | None) -> int | None:
    """`to_microseconds` for a moment that may not have come."""
    return None if moment is None else (moment - EPOCH) // _MICROSECOND


def moment_of(count: int | None) -> datetime | None:
    """`from_microseconds` for a moment that may not have come."""
    return None if count is None else EPOCH + timedelta(microseconds=count)


def short_text(length: int) -> TypeEngine[str]:
    """The type of names, ids and keys: compared and sorted by their code points, as Python does.

    SQLite always does so. PostgreSQL would go by the language that its database was made for, in
    another order and at several times the cost.
    """
    return String(length).with_variant(VARCHAR(length, collation="C"), "postgresql")


def as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as the driver gives it: moments as counts, JSON as text."""
    if isinstance(column.type, TypeDecorator):
        return type_coerce(column, column.type.impl_instance).label(column.key)
    return column


class Moment(TypeDecorator[datetime]):
    """A moment in time, as microseconds since 1970: exact, sortable, the same everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Write."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Read."""
        return None if value is None else from_microseconds(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text. None is kept as SQL's NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:
        """Write."""
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        """Read."""
        return None if value is None else orjson.loads(value)
