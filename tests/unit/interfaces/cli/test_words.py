"""Input as words of the command line."""

from __future__ import annotations

import pytest

from cueline.domain.errors import InvalidInput
from cueline.domain.json import Json
from cueline.interfaces.cli.reading.words import parse_words


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a=7", 7),
        ("a=1.5", 1.5),
        ("a=true", True),
        ("a=null", None),
        ("a=[1,2]", [1, 2]),
        ('a={"b": 1}', {"b": 1}),
        ('a="7"', "7"),
        ("a=Anna", "Anna"),
        ("a=01234", "01234"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        ("a=two words\nand lines", "two words\nand lines"),
        ("a={broken", "{broken"),
        ("a:=7", 7),
        ('a:="x"', "x"),
    ],
)
def test_a_value_is_json_if_it_reads_as_json_and_a_text_if_not(word: str, value: Json) -> None:
    assert parse_words([word]) == {"a": value}


@pytest.mark.parametrize(
    "kind",
    [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "string", "format": "date"}]}],
)
@pytest.mark.parametrize("value", ["7", "true", "NaN", "[1]"])
def test_a_value_that_is_to_be_a_text_stays_one(kind: Json, value: str) -> None:
    assert parse_words([f"a={value}"], {"properties": {"a": kind}}) == {"a": value}


def test_a_value_that_may_be_a_number_too_is_read_as_json() -> None:
    schema: dict[str, Json] = {
        "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}
    }

    assert parse_words(["a=7", "b=8"], schema) == {"a": 7, "b": 8}


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_words(["a=1", "a=2", "b:=oops", "c=NaN", "d=-Infinity", "nothing", "=7"])

    assert [problem.path for problem in caught.value.problems] == [
        "input.a",
        "input.b",
        "input.c",
        "input.d",
        "nothing",
        "=7",
    ]
