"""JSON as people type it: what is wrong, and where."""

from __future__ import annotations

import pytest

from cueline.domain.errors import InvalidInput
from cueline.interfaces.cli.reading.json_text import parse_json


def problem_of(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_json(text, "input")
    [problem] = caught.value.problems
    return str(problem)


def test_json_is_read() -> None:
    assert parse_json('{"a": [1, 2.5, null, true, "é"]}', "input") == {
        "a": [1, 2.5, None, True, "é"]
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "input: line 1, column 1: expecting value"),
        ('{"a": 1,\n "b": }', "input: line 2, column 7: expecting value"),
        ("{} {}", "input: line 1, column 4: extra data"),
        ('{"a": "\n"}', "input: line 1, column 8: invalid control character at"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: str, problem: str) -> None:
    assert problem_of(text) == problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NaN", "input: line 1, column 1: NaN is not a JSON number"),
        ('{"NaN": "-Infinity",\n "a": -Infinity}', "input: line 2, column 7: -Infinity is not"),
        ('{"a\\"NaN": Infinity}', "input: line 1, column 12: Infinity is not a JSON number"),
    ],
)
def test_nan_and_infinities_are_refused_with_their_place(text: str, problem: str) -> None:
    assert problem_of(text).startswith(problem)


def test_a_key_given_twice_is_refused_by_its_name() -> None:
    assert problem_of('{"a": {"b": 1, "b": 2}}') == (
        "input: the key 'b' is given twice in one object"
    )


def test_nesting_without_end_is_refused() -> None:
    assert "nested" in problem_of("[" * 100_000)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert "input" in problem_of("9" * 5000)
