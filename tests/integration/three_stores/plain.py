"""Answers as plain values, so that whatever a user could see of them can be compared."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pprint import pformat
from typing import Any

from cueline.domain.errors import Unavailable


class Refused:
    """What a store said instead of an answer.

    The port's only error is `Unavailable`, and none of these stores is. Anything else refuses a
    mistake of the program (one id twice, a run that was not locked), each store in its own words:
    no user gets to read them.
    """

    def __init__(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            raise error
        self.error = error


def plain(value: object) -> Any:
    """The value in tuples, lists and texts that are equal only if it is the same.

    Python holds `1`, `1.0` and `True` for equal, and minus zero for zero; users can tell them
    apart, and the order of an object's members too. What they cannot tell apart is a moment given
    in another time zone: the memory store keeps the zone, databases know UTC only.
    """
    match value:
        case Enum():
            return repr(value)
        case None | str():
            return value
        case bool() | int() | float():
            return f"{type(value).__name__} {value!r}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Refused():
            return "refused"
        case Mapping():
            return [(plain(key), plain(member)) for key, member in value.items()]
        case Set():
            return {plain(member) for member in value}
        case Sequence():
            return [plain(member) for member in value]
        case _ if is_dataclass(value):
            return (type(value).__name__, *_facts(value))
        case _:
            return repr(value)


def _facts(value: Any) -> list[tuple[str, Any]]:
    return [
        (field.name, plain(getattr(value, field.name))) for field in fields(value) if field.compare
    ]


def require_same(answers: Mapping[str, object]) -> None:
    """Raise AssertionError with what differs, unless every store gave the first one's answer."""
    (first, expected), *others = ((name, plain(answer)) for name, answer in answers.items())
    for name, answer in others:
        if answer != expected:
            ours, theirs = (pformat(one, width=96).splitlines() for one in (expected, answer))
            difference = "\n".join(
                difflib.unified_diff(ours, theirs, first, name, n=2, lineterm="")
            )
            raise AssertionError(f"the stores differ:\n{difference}")
