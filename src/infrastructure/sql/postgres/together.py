"""Several statements in one, which costs one round trip."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

_PARAMETER = re.compile(r"\$(\d+)")


UNEXPECTED = "not everything changed that was to change"
"""What a statement of `all_or_nothing` fails with: it is asked to take this for a number."""


@lru_cache(maxsize=1024)
def one_statement(statements: tuple[str, ...]) -> str:
    """All of these in one, their parameters numbered through; it answers as the last does.

    They must not write to the same table, as none sees what another has changed.
    """
    *others, last = _numbered_through(statements)
    return f"WITH {_named(others)} {last}" if others else last


@lru_cache(maxsize=1024)
def all_or_nothing(statements: tuple[str, ...], counted: int) -> str:
    """All of these in one that fails unless the first ones answer as many rows as is expected.

    Its last parameters are these numbers. What is counted is carried out in its order.
    """
    parts = list(_numbered_through(statements))
    first = sum(map(_parameters, statements)) + 1
    # PostgreSQL has no way of failing but an expression that does.
    counts = (f"(SELECT count(*) FROM part_{number})" for number in range(counted))  # noqa: S608  # compiled parts
    is_expected = " AND ".join(f"{each} = ${first + n}" for n, each in enumerate(counts)) or "true"
    return (
        f"WITH {_named(parts)} "
        f"SELECT CAST(CASE WHEN {is_expected} THEN '0' ELSE '{UNEXPECTED}' END AS integer)"
    )


def _named(parts: Iterable[str]) -> str:
    return ", ".join(f"part_{number} AS ({each})" for number, each in enumerate(parts))


def _numbered_through(statements: Sequence[str]) -> Iterator[str]:
    before = 0
    for statement in statements:
        yield _later(statement, before)
        before += _parameters(statement)


def _parameters(statement: str) -> int:
    """How many it has: the highest of their numbers."""
    return max((int(number) for number in _PARAMETER.findall(statement)), default=0)


def _later(statement: str, by: int) -> str:
    """The statement with its parameters numbered from `by` on."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", statement)
