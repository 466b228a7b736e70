"""YAML as people write workflows in it: what YAML lets pass in silence is refused aloud."""

from __future__ import annotations

import pytest

from cueline.domain.errors import InvalidInput
from cueline.interfaces.cli.reading.yaml_text import parse_yaml


def problems_of(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(text, "workflow")
    return [str(problem) for problem in caught.value.problems]


def test_yaml_is_read() -> None:
    assert parse_yaml("name: order\nsteps: {a: {task: x, after: [b, 'c']}}", "workflow") == {
        "name": "order",
        "steps": {"a": {"task": "x", "after": ["b", "c"]}},
    }


def test_a_key_given_twice_is_refused_with_its_name_and_both_lines() -> None:
    text = "name: order\nsteps:\n  charge: {task: a}\n  ship: {task: b}\n  charge: {task: c}\n"

    assert problems_of(text) == [
        "steps.charge: line 5: 'charge' is given twice, first on line 3",
    ]


def test_every_key_given_twice_is_told_however_deep() -> None:
    text = "a: 1\na: 2\nlist:\n- {b: 1, b: 2}\n- c:\n    d: 1\n    'd': 2\n"

    assert problems_of(text) == [
        "a: line 2: 'a' is given twice, first on line 1",
        "list[0].b: line 4: 'b' is given twice, first on line 4",
        "list[1].c.d: line 7: 'd' is given twice, first on line 6",
    ]


def test_a_key_that_overrides_a_merged_one_is_not_given_twice() -> None:
    text = "base: &base {x: 1, y: 2}\nmore: {<<: *base, x: 3}\nagain: {<<: *base}\n"

    assert parse_yaml(text, "workflow") == {
        "base": {"x": 1, "y": 2},
        "more": {"x": 3, "y": 2},
        "again": {"x": 1, "y": 2},
    }


@pytest.mark.parametrize("key", ["on", "yes", "7", "null", "1.5", "[a, b]"])
def test_a_bare_key_that_is_no_text_is_refused(key: str) -> None:
    [problem] = problems_of(f"steps:\n  ? {key}\n  : x\n")

    assert "line 2: this key is not a text; put it in quotes" in problem


def test_a_bare_date_is_a_text_as_in_json() -> None:
    assert parse_yaml("since: 2026-01-31", "workflow") == {"since": "2026-01-31"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "workflow: line 1, column 5: mapping values are not allowed here"),
        ("a: [1, 2\nb: 3", "workflow: line 2"),
        ("a: *nowhere", "workflow: line 1, column 4: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2", "workflow: line 2, column 1: but found another document"),
        ("a: !!python/object/apply:os.system [ls]", "workflow: line 1, column 4: could not det"),
        ("", "workflow: the document is empty"),
        ("a: \x07", "workflow: unacceptable character"),
        ("a: !!timestamp 2026-13-99", "workflow: "),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(text: str, problem: str) -> None:
    [found] = problems_of(text)

    assert found.startswith(problem)


def test_anchors_that_unfold_into_gigabytes_are_refused() -> None:
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert problems_of("\n".join(bomb)) == ["the anchors unfold into more than 100000 values"]


def test_an_anchor_that_contains_itself_is_refused() -> None:
    assert problems_of("a: &a\n  b: [1, *a]") == ["a.b[1]: line 1: the anchor contains itself"]


def test_nesting_without_end_is_refused() -> None:
    assert "nested" in problems_of("[" * 5_000)[0]
