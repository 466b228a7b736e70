"""Several statements in one, which costs one round trip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_PARAMETER = re.compile(r"\$(\d+)")


@lru_cache(maxsize=1024)
def one_statement(statements: tuple[str, ...]) -> str:
    """All of these in one, their parameters numbered through; it answers as the last does.

    They must not write to the same table, as none sees what another has changed.
    """
    *others, last = _numbered_through(statements)
    if not others:
        return last
    parts = ", ".join(f"part_{number} AS ({each})" for number, each in enumerate(others))
    return f"WITH {parts} {last}"


def _numbered_through(statements: Sequence[str]) -> Iterator[str]:
    before = 0
    for statement in statements:
        yield _later(statement, before)
        before += max((int(number) for number in _PARAMETER.findall(statement)), default=0)


def _later(statement: str, by: int) -> str:
    """The statement with its parameters numbered from `by` on."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", statement)
