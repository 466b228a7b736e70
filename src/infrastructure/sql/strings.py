"""A column of texts as one text, which PostgreSQL takes apart.

Of each text in an array asyncpg asks twice whether it is itself an array. Joining the texts is
five times as fast, and PostgreSQL is no slower (ADR 24).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, literal_column

SEPARATOR = "\x1f"
NOTHING = "\x1e"
"""What stands for NULL."""

_SEPARATOR: ColumnElement[str] = literal_column(r"E'\x1f'")
_NOTHING: ColumnElement[str] = literal_column(r"E'\x1e'")


def string_of(column: Sequence[str | None]) -> str | None:
    """Texts as one; None if that would be misunderstood."""
    try:
        string, nothings = SEPARATOR.join(cast("Sequence[str]", column)), 0
    except TypeError:  # to look for None beforehand would cost as much as joining
        nothings = column.count(None)
        string = SEPARATOR.join([NOTHING if text is None else text for text in column])
    separators = len(column) - 1
    is_clear = string.count(SEPARATOR) == separators and string.count(NOTHING) == nothings
    return string if is_clear and string else None  # of nothing PostgreSQL makes no texts


def taken_apart(name: str) -> ColumnElement[Any]:
    """The array of the texts that the parameter `name` gives as one."""
    return func.string_to_array(
        bindparam(name, type_=Text()), _SEPARATOR, _NOTHING, type_=ARRAY(Text())
    )
