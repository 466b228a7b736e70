"""JSON values: their type, and what keeps a Python value from being one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cueline.domain.errors import InvalidInput, Problem

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""Anything that JSON can say. Treat it as immutable: the domain never changes one in place."""

JsonObject: TypeAlias = Mapping[str, Json]

DEEPEST = 64
"""How many arrays and objects may be nested in one another."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1

_Trail: TypeAlias = "tuple[_Trail, str | int] | None"
"""Where a value lies: the trail of what holds it, and its key there. Most are never written out."""


def require_json(value: object, path: str) -> None:
    """Raise `InvalidInput` for a value that could not be stored and read back as JSON.

    Refused are NaN and infinities, integers beyond 64 bits, text that is not Unicode, keys that are
    not text, other Python objects, and nesting deeper than `DEEPEST`.
    """
    if problem := _first_problem(value, path):
        raise InvalidInput("the value cannot be kept as JSON", [problem])


def _first_problem(root: object, path: str) -> Problem | None:
    """Walk the value with a stack of its own, so that hostile nesting cannot exhaust Python's."""
    pending: list[tuple[object, _Trail, int]] = [(root, None, 0)]
    while pending:
        value, trail, depth = pending.pop()
        if isinstance(value, dict):
            fault = _nesting_fault(depth) or _key_fault(value)
            pending.extend(
                [
                    (member, (trail, key), depth + 1)
                    for key, member in value.items()
                    if not _is_harmless(member)
                ]
            )
        elif isinstance(value, list) or type(value) is tuple:  # encoders refuse named tuples
            fault = _nesting_fault(depth)
            pending.extend(
                [
                    (member, (trail, i), depth + 1)
                    for i, member in enumerate(value)
                    if not _is_harmless(member)
                ]
            )
        else:
            fault = _scalar_fault(value)
        if fault:
            return Problem(_written(path, trail), fault)
    return None


def _is_harmless(value: object) -> bool:
    """Whether it is seen at a glance that nothing is wrong, as with most of what is submitted."""
    if type(value) is str:
        return value.isascii()
    if type(value) is int:
        return _SMALLEST <= value <= _LARGEST
    return value is None or type(value) is bool


def _nesting_fault(depth: int) -> str | None:
    if depth >= DEEPEST:
        return f"the value is nested more than {DEEPEST} levels deep"
    return None


def _key_fault(value: Mapping[object, object]) -> str | None:
    for key in value:
        if type(key) is not str:
            return f"a key is of type {type(key).__name__}, which is not plain text"
        if not _is_unicode(key):
            return f"the key {key!r} holds half of a surrogate pair, which is not Unicode"
    return None


def _scalar_fault(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        fault = "the text holds half of a surrogate pair, which is not Unicode"
        return None if _is_unicode(value) else fault
    if isinstance(value, int):
        fault = "the integer does not fit in 64 bits: send it as text"
        return None if _SMALLEST <= value <= _LARGEST else fault
    if type(value) is float:  # encoders refuse subclasses, such as NumPy's
        return None if math.isfinite(value) else f"{value} is not a JSON number"
    return f"a {type(value).__name__} has no form in JSON"


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _written(path: str, trail: _Trail) -> str:
    parts: list[str] = []
    while trail is not None:
        trail, key = trail
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return path + "".join(reversed(parts))


def copied(value: Json) -> Json:
    """The same value in dicts and lists of its own."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: copied(member) for key, member in value.items()}
    return [copied(member) for member in value]


def copied_object(value: JsonObject) -> dict[str, Json]:
    """`copied` for an object."""
    return {key: copied(member) for key, member in value.items()}


def same_json(one: object, other: object) -> bool:
    """Whether two values are the same JSON text, whatever the order of the members.

    Python holds `1`, `1.0` and `True` for equal, and a tuple for unequal to a list; JSON does not.
    """
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
