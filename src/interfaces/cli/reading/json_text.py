"""JSON as it is typed or stored in a file: strict, and refused with the place that is wrong."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import DEEPEST, Json

_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)', re.DOTALL)


class _NotANumber(ValueError):
    pass


def parse_json(text: str, where: str) -> Json:
    """Read JSON, or raise `InvalidInput` naming `where` and the line and column.

    Refused beside what no parser takes: NaN and infinities, and a key given twice in one object.
    """
    try:
        value: Json = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_object_without_repeats
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse(where, f"{place}: {error.msg[0].lower()}{error.msg[1:]}", error)
    except _NotANumber as error:
        _refuse(where, f"{_place_of_constant(text)}: {error} is not a JSON number", error)
    except RecursionError as error:
        _refuse(where, f"the value is nested more than {DEEPEST} levels deep", error)
    except ValueError as error:  # a repeated key, or an integer of thousands of digits
        _refuse(where, str(error), error)
    return value


def _refuse(where: str, message: str, cause: Exception) -> NoReturn:
    raise InvalidInput(f"the {where} is not usable JSON", [Problem(where, message)]) from cause


def _refuse_constant(constant: str) -> NoReturn:
    raise _NotANumber(constant)


def _object_without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice in one object")
        found[key] = value
    return found


def _place_of_constant(text: str) -> str:
    """Where the first constant stands that is no part of a string."""
    tokens = _STRING_OR_CONSTANT.finditer(text)
    start = next((token.start() for token in tokens if not token[0].startswith('"')), 0)
    line = text.count("\n", 0, start) + 1
    return f"line {line}, column {start - text.rfind(chr(10), 0, start)}"
