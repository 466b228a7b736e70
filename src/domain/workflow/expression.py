"""Expressions: how a step's input is taken from the run's input and from earlier outputs.

`${input.order}` and `${steps.reserve.output.items[0].id}` refer to a value; `input["odd key"]`
reaches a key that is not a plain name. An expression alone in a string keeps the type of its value;
among other text it is written into the text. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cueline.domain.errors import ExpressionError
from cueline.domain.json import DEEPEST, Json, JsonObject

DEEPEST_TEMPLATE = DEEPEST - 5
"""How deep a template may be nested, so that the document of its workflow can still be JSON."""

LONGEST_REMEMBERED = 1000
"""Strings up to this length are parsed once; longer ones would fill the memory."""

_PLAIN = r"[A-Za-z_]\w*"
_HOLE = re.compile(r'\$\$\{|\$\{((?:[^}"]++|"[^"]*")*+)\}?')  # possessive: no memory for retreat
_ROOT = re.compile(rf"\s*({_PLAIN})")
_SELECTOR = re.compile(rf'\.({_PLAIN})|\[([0-9]{{1,9}})\]|\["([^"]*)"\]')


@dataclass(frozen=True, slots=True)
class Reference:
    """A path to a value: of the run's input (`step` is None), or of the output of a step."""

    step: str | None
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        root = "input" if self.step is None else f"steps.{self.step}.output"
        return root + "".join(_selector_text(part) for part in self.path)

    @property
    def expression(self) -> str:
        """The reference as a workflow document holds it."""
        return "${" + str(self) + "}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions can see: the run's input and the outputs of the steps that succeeded."""

    input: Json
    outputs: Mapping[str, Json]

    def look_up(self, reference: Reference) -> Json:
        """The value that is referred to, or an `ExpressionError` that says what is missing."""
        if reference.step is None:
            value, seen = self.input, "input"
        elif reference.step in self.outputs:
            value, seen = self.outputs[reference.step], f"steps.{reference.step}.output"
        else:
            raise ExpressionError(f"${{{reference}}}: step {reference.step!r} has no output yet")
        for part in reference.path:
            value = _select(value, part, seen, reference)
            seen += _selector_text(part)
        return value


def references(template: Json) -> Iterator[tuple[str, Reference]]:
    """Every reference in a template, with the path of the string in which it stands.

    Raises `ExpressionError`, its message beginning with that path, for one that cannot be read.
    """
    for path, text in _strings(template, "", 0):
        for part in _parse_at(path, text):
            if isinstance(part, Reference):
                yield path, part


def render(template: Json, scope: Scope) -> Json:
    """The template with every expression replaced by its value."""
    if isinstance(template, str):
        return _render_text(template, scope)
    if isinstance(template, Mapping):
        return {key: render(value, scope) for key, value in template.items()}
    if isinstance(template, (list, tuple)):
        return [render(value, scope) for value in template]
    return template


def render_object(template: JsonObject, scope: Scope) -> dict[str, Json]:
    """`render` for a template that is an object."""
    return {key: render(value, scope) for key, value in template.items()}


def _render_text(text: str, scope: Scope) -> Json:
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return scope.look_up(parts[0])
    return "".join(
        part if isinstance(part, str) else _as_text(scope.look_up(part)) for part in parts
    )


def parse(text: str) -> tuple[str | Reference, ...]:
    """Split a string into literal text and references, or raise `ExpressionError`."""
    if "${" not in text:
        return (text,)
    return _remembered(text) if len(text) <= LONGEST_REMEMBERED else _split(text)


def _split(text: str) -> tuple[str | Reference, ...]:
    parts: list[str | Reference] = []
    end = 0
    for hole in _HOLE.finditer(text):
        if hole.start() > end:
            parts.append(text[end : hole.start()])
        if hole.group() == "$${":
            parts.append("${")
        elif not hole.group().endswith("}"):
            raise ExpressionError(f"'${{' without '}}' in {text[:80]!r}")
        else:
            parts.append(_reference(hole.group(1)))
        end = hole.end()
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


_remembered = lru_cache(maxsize=4096)(_split)


def _parse_at(path: str, text: str) -> tuple[str | Reference, ...]:
    try:
        return parse(text)
    except ExpressionError as error:
        raise ExpressionError(f"{path.lstrip('.')}: {error}" if path else str(error)) from error


def _reference(source: str) -> Reference:
    root = _ROOT.match(source)
    if root is None:
        raise _unreadable(source)
    path = _selectors(source, root.end())
    if root.group(1) == "input":
        return Reference(None, path)
    if root.group(1) == "steps" and len(path) >= 2 and path[1] == "output":
        return Reference(str(path[0]), path[2:])
    raise _unreadable(source)


def _selectors(source: str, start: int) -> tuple[str | int, ...]:
    path: list[str | int] = []
    while match := _SELECTOR.match(source, start):
        field, index, key = match.groups()
        path.append(int(index) if index is not None else field if field is not None else key)
        start = match.end()
    if source[start:].strip():
        raise _unreadable(source)
    return tuple(path)


def _unreadable(source: str) -> ExpressionError:
    return ExpressionError(
        f"${{{source[:80]}}} is not an expression: refer to input.NAME or steps.STEP.output.NAME"
    )


def _strings(template: Json, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST_TEMPLATE:
        place = path.lstrip(".")[:80]
        raise ExpressionError(f"{place}: a template may be {DEEPEST_TEMPLATE} levels deep")
    if isinstance(template, str):
        yield path, template
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from _strings(value, f"{path}.{str(key)[:64]}", depth + 1)
    elif isinstance(template, (list, tuple)):
        for index, value in enumerate(template):
            yield from _strings(value, f"{path}[{index}]", depth + 1)


def _select(value: Json, part: str | int, seen: str, reference: Reference) -> Json:
    if isinstance(part, int):
        if not isinstance(value, (list, tuple)):
            raise ExpressionError(f"${{{reference}}}: {seen} is {_kind(value)}, not an array")
        if part >= len(value):
            raise ExpressionError(f"${{{reference}}}: {seen} has only {len(value)} elements")
        return value[part]  # type: ignore[no-any-return]  # isinstance loses the element type
    if not isinstance(value, Mapping):
        raise ExpressionError(f"${{{reference}}}: {seen} is {_kind(value)}, not an object")
    if part not in value:
        known = ", ".join(sorted(value)[:20]) or "none"
        raise ExpressionError(f"${{{reference}}}: {seen} has no {part!r}; it has: {known}")
    return value[part]


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case _:
            return "an array"


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _selector_text(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(_PLAIN, part) else f'["{part}"]'
