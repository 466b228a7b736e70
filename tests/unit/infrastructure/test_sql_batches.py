"""Batches for PostgreSQL, as far as they are made without it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Update, update

from cueline.infrastructure.sql.batches import ChangeBatch, Given
from cueline.infrastructure.sql.strings import NOTHING, SEPARATOR, string_of
from cueline.infrastructure.sql.tables import tasks

NAMES = ("the_output", "the_attempt", "the_id")


def _save(given: Given) -> Update:
    values = {"output": given["the_output"], "attempt": given["the_attempt"]}
    return update(tasks).values(values).where(tasks.c.id == given["the_id"])


def a_batch() -> ChangeBatch:
    columns = {"the_output": tasks.c.output, "the_attempt": tasks.c.attempt, "the_id": tasks.c.id}
    return ChangeBatch(columns, _save, key="the_id", answer=tasks.c.id)


def test_what_rows_agree_in_is_given_once_and_texts_as_one_string() -> None:
    sql, given = a_batch().postgres([("1", 7, "a"), (None, 7, "b")])
    assert given == (7, f"1{SEPARATOR}{NOTHING}", f"a{SEPARATOR}b")
    assert sql.count("string_to_array") == 2


def test_one_row_is_given_as_it_is() -> None:
    text = f"x{SEPARATOR}y"
    sql, given = a_batch().postgres([(text, 7, "a")])
    places = re.findall(r"(\w+) ?= ?\$(\d)", sql)
    values = {column: given[int(number) - 1] for column, number in places}
    assert values == {"output": text, "attempt": 7, "id": "a"}
    assert "unnest" not in sql


@pytest.mark.parametrize("rows", [[], [("1", 7)], [("1", 7), ("2", 7)]])
def test_rows_of_too_few_values_are_refused(rows: list[Sequence[Any]]) -> None:
    with pytest.raises(ValueError, match="not of 3"):
        a_batch().postgres(rows)


@pytest.mark.parametrize("text", [SEPARATOR, NOTHING, f"x{SEPARATOR}y", f"x{NOTHING}y"])
def test_texts_that_would_be_misunderstood_are_given_as_arrays(text: str) -> None:
    sql, given = a_batch().postgres([(text, 7, "a"), ("2", 8, "b")])
    assert given == ((text, "2"), (7, 8), ("a", "b"))
    assert "string_to_array" not in sql


def test_in_few_forms_nothing_is_given_once_but_what_one_row_has() -> None:
    batch = a_batch()
    rows = [("1", 7, "a"), ("1", 7, "b")]
    several, given = batch.postgres(rows, in_few_forms=True)
    assert given == (f"1{SEPARATOR}1", (7, 7), f"a{SEPARATOR}b")
    assert batch.postgres([*rows, ("2", 8, "c")], in_few_forms=True)[0] == several
    assert batch.postgres(rows[:1], in_few_forms=True) == batch.postgres(rows[:1])


def test_beyond_so_many_forms_one_does_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = a_batch()
    rows = [("1", 7, "a"), ("1", 7, "b")]
    made = compiling(batch, monkeypatch)
    monkeypatch.setattr("cueline.infrastructure.sql.batches.MOST_FORMS", 1)
    first, _ = batch.postgres(rows)
    for _ in range(3):
        other, given = batch.postgres([("1", 7, "a"), ("2", 7, "b")])
        assert given == (f"1{SEPARATOR}2", (7, 7), f"a{SEPARATOR}b")
        assert other != first
    assert batch.postgres(rows)[0] == first
    assert len(made) == 2


@pytest.mark.parametrize(
    ("texts", "string"),
    [
        (["a", "", None, "b"], f"a{SEPARATOR}{SEPARATOR}{NOTHING}{SEPARATOR}b"),
        (["", ""], SEPARATOR),
        ([None], NOTHING),
        (["a"], "a"),
        ([""], None),
        ([NOTHING, None], None),
    ],
)
def test_texts_become_a_string_that_says_the_same(
    texts: list[str | None], string: str | None
) -> None:
    assert string_of(texts) == string


def compiling(batch: ChangeBatch, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is noted each time that a statement is made."""
    made: list[Any] = []
    make = batch._compiled

    def compiled(*form: Any) -> Any:
        made.append(form)
        return make(*form)

    monkeypatch.setattr(batch, "_compiled", compiled)
    return made
