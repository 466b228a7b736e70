"""Requests as nobody should send them, drawn from what the OpenAPI document says of an operation.

Most parts of a request fit the document, so that it gets far; some are boundary values, of another
type, or no JSON at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.unit.interfaces.rest.client import openapi_document

T = TypeVar("T")

Schema = dict[str, Any]

RARE = st.integers(0, 16).map(lambda number: number == 7)
"""Which parts do not fit. Not those at an end of the range: hypothesis is fond of the ends."""

SELDOM = st.integers(0, 3).map(lambda number: number == 2)
"""Which of the parts are there that may be left out."""

LONGEST = 5000
"""How long a parameter is; the client itself refuses URLs beyond 64 KB."""

DEEPEST = 4
"""How deep the values of a schema that contains itself are."""


def one_of_these(items: Sequence[T]) -> SearchStrategy[T]:
    """`sampled_from` for large items: hypothesis would put them all into its representation."""
    return st.integers(0, len(items) - 1).map(lambda number: items[number])


TEXTS = st.one_of(
    one_of_these(
        [
            *("", " ", "\0", "a\0b", "\n", "\ufeff", "\u202e", "é" * 300, "x" * 70_000, "null"),
            *("../..", "%2e%2e", "%00", "'; DROP TABLE tasks; --", "${input.a}", "{{7*7}}"),
            *(
                "1e999",
                "-0",
                "00",
                "0x10",
                "\uff11\uff12",
                "NaN",
                "9" * 5000,
                "PT5M",
                "1h",
                "-1s",
                "1e300d",
            ),
            *("default", "send", "order", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
            *("0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "2026-01-01", "true"),
        ]
    ),
    st.text(max_size=40),
)
NUMBERS: SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [0, -1, 1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400]
    ),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5e-324, 1.7e308, -0.0, 1e22]),
)
ANYTHING: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
MALFORMED = st.one_of(
    one_of_these(
        [
            *(b"", b" ", b"\0", b"{", b'{"name": "send"', b"[1,]", b"{'name': 1}", b"nul", b"tru"),
            *(b"NaN", b"[Infinity]", b'{"name": "send", "input": {"x": NaN}}', b"-", b"01", b"1."),
            *(b"\xff\xfe", b'"\xc3\x28"', b'"\xed\xa0\x80"', b'"\\ud800"', b"\xef\xbb\xbf{}"),
            *(
                b"[" * 100_000,
                b"[" * 40_000 + b"]" * 40_000,
                b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
            ),
            *(b'{"name": "send", "name": "print"}', b'{"name": "send"} {}', b"9" * 50_000),
            *(b'"' + b"x" * 200_000 + b'"', b'{"name": "' + b"x" * 99_000 + b'"}', b" " * 200_000),
            *(b'{"name": "send", "input": {"x": 1e400}}', b"1e-400", b'{"name": "send\\u0000"}'),
        ]
    ),
    st.binary(max_size=60),
)
TYPES = st.sampled_from(
    [
        *("text/plain", "application/json; charset=latin-1", "application/xml", "", ";;;", "\t"),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b+json"),
    ]
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as far as the client lets us spoil it."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def __repr__(self) -> str:
        return f"{self.method} {self.path[:500]} {self.headers} {self.body[:500]!r}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is there, by the name of the parameter that asks for it."""

    by_parameter: dict[str, list[str]]

    def values(self, parameter: str) -> SearchStrategy[str]:
        """Names and ids that lead somewhere."""
        return st.sampled_from(self.by_parameter.get(parameter, ["default"]))


# --- values of a schema ---------------------------------------------------------------------------


def fitting(schema: Schema, depth: int = 0) -> SearchStrategy[Any]:
    """Values of a schema, some of them with a part that does not fit."""
    proper = st.deferred(lambda: _proper(schema, depth))
    return RARE.flatmap(lambda is_wrong: ANYTHING if is_wrong else proper)


def _proper(schema: Schema, depth: int) -> SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _proper(openapi_document()["components"]["schemas"][name], depth)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return st.one_of([fitting(each, depth) for each in schema[choice]])
    match schema.get("type"):
        case "object":
            return _objects(schema, depth)
        case "array":
            most = 0 if depth >= DEEPEST else min(schema.get("maxItems", 3), 3)
            return st.lists(fitting(schema.get("items", {}), depth + 1), max_size=most)
        case "string":
            return _strings(schema)
        case "integer":
            return _integers(schema)
        case "number":
            return NUMBERS
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case _:
            return ANYTHING


@st.composite
def _objects(draw: st.DrawFn, schema: Schema, depth: int) -> dict[str, Any]:
    rest = schema.get("additionalProperties", True)
    made = {}
    for name, of_it in schema.get("properties", {}).items():
        is_wanted = name in schema.get("required", ())
        if is_wanted or (depth < DEEPEST and draw(SELDOM)):
            made[name] = draw(fitting(of_it, depth + 1))
    if not made and depth < DEEPEST:
        inner = fitting(rest, depth + 1) if isinstance(rest, dict) else ANYTHING
        names = st.sampled_from(["order", "reserve", "charge"]) | TEXTS
        made = draw(st.dictionaries(names, inner, max_size=2))
    if draw(RARE):
        made[draw(TEXTS)] = draw(ANYTHING)
    return made


def _strings(schema: Schema) -> SearchStrategy[str]:
    match schema.get("format"):
        case "uuid":
            return st.uuids().map(str)
        case "date-time":
            return st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
        case _:
            length = schema.get("maxLength", 20)
            names = st.sampled_from(["send", "order", "1s", "reserve"])
            edges = one_of_these(["x" * length, "x" * (length + 1), "é" * length])
            return RARE.flatmap(lambda is_edge: edges | TEXTS if is_edge else names)


def _integers(schema: Schema) -> SearchStrategy[int]:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**31)
    return st.sampled_from([least - 1, least, least + 1, most - 1, most, most + 1])


# --- requests -------------------------------------------------------------------------------------


@st.composite
def requests(draw: st.DrawFn, method: str, path: str, operation: Schema, known: Known) -> Request:
    """Requests for one operation of the document."""
    headers: list[tuple[bytes, bytes]] = []
    query: list[tuple[str, str]] = []
    for parameter in operation.get("parameters", []):
        name, schema = parameter["name"], parameter["schema"]
        if parameter["in"] == "path":
            value = draw(_texts(schema) if draw(RARE) else known.values(name))
            path = path.replace(f"{{{name}}}", _segment(value))
        elif parameter["in"] == "query":
            query += [(name, each) for each in draw(_some_texts(schema))]
        elif draw(SELDOM):
            headers.append((name.encode(), draw(_header_values())))
    if draw(RARE):
        query.append((draw(TEXTS)[:LONGEST], draw(TEXTS)[:LONGEST]))
    body, kind = b"", b"application/json"
    if "requestBody" in operation:
        body = draw(MALFORMED if draw(SELDOM) else _bodies(operation["requestBody"]["content"]))
        if draw(RARE):
            kind = draw(TYPES).encode()
        headers.append((b"Content-Type", kind))
    elif draw(RARE):
        body = draw(MALFORMED)
    if draw(RARE):
        method = draw(st.sampled_from(["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]))
    encoded = urlencode(query, errors="surrogatepass")
    return Request(method, f"{path}?{encoded}" if encoded else path, headers, body)


def _bodies(content: Schema) -> SearchStrategy[bytes]:
    """What the schema allows, or an example that is spoiled here and there."""
    described = content["application/json"]
    examples = [example["value"] for example in described.get("examples", {}).values()]
    spoiled = st.sampled_from(examples).flatmap(_spoiled)
    values = fitting(described["schema"]) | spoiled
    return values.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="replace"))


@st.composite
def _spoiled(draw: st.DrawFn, value: Any) -> Any:
    if draw(RARE):
        return draw(ANYTHING)
    if isinstance(value, dict):
        return {name: draw(_spoiled(each)) for name, each in value.items()}
    if isinstance(value, list):
        return [draw(_spoiled(each)) for each in value]
    return value


def _some_texts(schema: Schema) -> SearchStrategy[list[str]]:
    """None or one as a rule, else two of them."""
    return SELDOM.flatmap(lambda is_given: st.lists(_texts(schema), max_size=2 * is_given))


def _texts(schema: Schema) -> SearchStrategy[str]:
    values = RARE.flatmap(lambda is_wrong: TEXTS if is_wrong else fitting(schema))
    return values.map(
        lambda value: (value if isinstance(value, str) else json.dumps(value))[:LONGEST]
    )


def _segment(value: str) -> str:
    """A value as a part of a path. The client itself would resolve dots, and leave out nothing."""
    return quote(value[:2000], safe="", errors="surrogatepass") if value.strip(".") else "-"


def _header_values() -> SearchStrategy[bytes]:
    visible = st.binary(max_size=300).map(lambda raw: bytes(b for b in raw if b > 31 and b != 127))
    edges = st.sampled_from(
        [b"", b"x" * 255, b"x" * 256, "é".encode(), b"\xff\xfe", b"-1", b"9" * 40]
    )
    return edges | visible
