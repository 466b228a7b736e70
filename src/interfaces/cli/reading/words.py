"""Input as words of the command line: `order_id=7`, `name=Anna`, `lines:=[1,2]`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import Json, JsonObject
from cueline.interfaces.cli.reading.json_text import parse_json

_WORD = re.compile(r"([^=]+?)(:?=)(.*)", re.DOTALL)
_CONSTANT = re.compile(r"-?(NaN|Infinity)")


def parse_words(words: Sequence[str], schema: JsonObject | None = None) -> dict[str, Json]:
    """Read words into an object, or raise `InvalidInput` with every problem.

    A value that reads as JSON is that (a number, true, null, a list), any other is a text, and so
    is one of which the schema says that it is to be a text. After `:=` only JSON is taken.
    """
    texts = set(_text_properties(schema or {}))
    found: dict[str, Json] = {}
    problems: list[Problem] = []
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None:
            problems.append(Problem(word, "write key=value, or key:=JSON"))
            continue
        key, sign, value = match.groups()
        if key in found:
            problems.append(Problem(f"input.{key}", "is given twice"))
        try:
            found[key] = _value(key, sign, value, as_text=key in texts)
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput("the input cannot be read", problems)
    return found


def _value(key: str, sign: str, value: str, *, as_text: bool) -> Json:
    where = f"input.{key}"
    if sign == ":=":
        return parse_json(value, where)
    if as_text:
        return value
    if _CONSTANT.fullmatch(value):
        message = f"{value} is not a JSON number; for the text write {key}:='\"{value}\"'"
        raise InvalidInput("the input cannot be read", [Problem(where, message)])
    try:
        return parse_json(value, where)
    except InvalidInput:
        return value


def _text_properties(schema: JsonObject) -> Iterator[str]:
    """The properties that must be texts, by the plain forms that a signature's schema has."""
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        yield from (name for name, kind in properties.items() if _wants_text(kind))


def _wants_text(schema: Json) -> bool:
    if not isinstance(schema, Mapping):
        return False
    choices = schema.get("anyOf")
    if isinstance(choices, (list, tuple)):  # a text or nothing: only `null` may then be JSON
        return bool(choices) and all(_wants_text(choice) for choice in choices)
    return schema.get("type") == "string"
