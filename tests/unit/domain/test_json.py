"""What can be kept as JSON, and what cannot."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum, StrEnum
from http import HTTPStatus

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.errors import InvalidInput
from cueline.domain.json import DEEPEST, require_json, same_json
from tests.unit.domain.factories import modest


class Color(StrEnum):
    RED = "red"


class Shape(Enum):
    ROUND = 1


class Money(float):
    pass


Point = namedtuple("Point", "x y")


def refusal(value: object, path: str = "input") -> str:
    with pytest.raises(InvalidInput) as refused:
        require_json(value, path)
    (problem,) = refused.value.problems
    return str(problem)


def nested(depth: int) -> object:
    value: object = []
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64 - 1,
        1.5,
        -0.0,
        "",
        "naïve 💡",
        "\0",
        [],
        {},
        (1, 2),
        {"": {"a.b": [1, {"c": None}]}},
        OrderedDict(a=1),
        Color.RED,
        HTTPStatus.OK,
    ],
    ids=repr,
)
def test_what_json_can_say_passes(value: object) -> None:
    require_json(value, "input")
    orjson.dumps(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "nan is not a JSON number"),
        (float("-inf"), "-inf is not a JSON number"),
        ([2**64], "the integer does not fit in 64 bits"),
        ([-(2**63) - 1], "the integer does not fit in 64 bits"),
        pytest.param(10**5000, "the integer does not fit in 64 bits", id="a very long integer"),
        ("\ud800", "half of a surrogate pair"),
        ({1: "one"}, "a key is of type int, which is not plain text"),
        ({None: 1}, "a key is of type NoneType"),
        ({Color.RED: 1}, "a key is of type Color"),
        ({"\udfff": 1}, "the key '\\udfff' holds half of a surrogate pair"),
        (b"bytes", "a bytes has no form in JSON"),
        ({1, 2}, "a set has no form in JSON"),
        (Decimal(1), "a Decimal has no form in JSON"),
        (Shape.ROUND, "a Shape has no form in JSON"),
        (Money(1.0), "a Money has no form in JSON"),
        (Point(1, 2), "a Point has no form in JSON"),
        (repr, "a builtin_function_or_method has no form in JSON"),
    ],
    ids=repr,
)
def test_what_json_cannot_say_is_refused(value: object, why: str) -> None:
    assert why in refusal(value)


def test_a_problem_names_the_path_of_the_value() -> None:
    value = {"orders": [{"id": 1}, {"id": 2, "total": float("nan")}]}
    assert refusal(value) == "input.orders[1].total: nan is not a JSON number"
    assert refusal([[object()]], "output") == "output[0][0]: a object has no form in JSON"


def test_nesting_is_allowed_to_a_depth_and_refused_beyond_it() -> None:
    require_json(nested(DEEPEST), "input")
    assert f"nested more than {DEEPEST} levels deep" in refusal(nested(DEEPEST + 1))


def test_hostile_nesting_does_not_exhaust_the_stack() -> None:
    assert "levels deep" in refusal(nested(100_000))


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.extend([loop, loop])
    assert "levels deep" in refusal(loop)


def test_a_long_key_above_many_values_costs_no_more_than_their_size() -> None:
    # With a path for each value, this would take 20 GB; only a problem has a path.
    value = {"k" * 1_000_000: [*range(20_000), float("nan")]}
    assert "nan is not a JSON number" in refusal(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [None]}, {"b": [None], "a": 1}),
        ((1, (2,)), [1, [2]]),
        (Color.RED, "red"),
        (HTTPStatus.OK, 200),
        ("å", "\u00e5"),
    ],
    ids=["order of members", "tuples", "text enumerations", "number enumerations", "escapes"],
)
def test_what_is_written_the_same_is_the_same(one: object, other: object) -> None:
    assert same_json(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), (1, 1.0), (1, "1"), ([1, 2], [2, 1]), ({}, []), (None, {})],
    ids=repr,
)
def test_what_is_written_differently_is_not_the_same_even_if_python_says_so(
    one: object, other: object
) -> None:
    assert not same_json([{"x": one}], [{"x": other}])


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=8)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | scalars, inner, max_size=4)
    ),
    max_leaves=12,
)


@modest
@given(anything)
def test_whatever_passes_can_be_written_by_orjson_and_read_back_equal(value: object) -> None:
    try:
        require_json(value, "input")
    except InvalidInput:
        return
    assert orjson.loads(orjson.dumps(value)) == value


@modest
@given(anything)
def test_whatever_orjson_writes_and_reads_back_equal_passes(value: object) -> None:
    try:
        same = orjson.loads(orjson.dumps(value)) == value
    except (TypeError, ValueError):
        return
    if same:
        require_json(value, "input")
