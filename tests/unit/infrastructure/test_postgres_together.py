"""Several statements in one: their parameters are numbered through."""

from __future__ import annotations

from cueline.infrastructure.sql.postgres.together import one_statement


def test_one_statement_stays_as_it_is() -> None:
    assert one_statement(("UPDATE a SET b = $2 WHERE c = $1",)) == (
        "UPDATE a SET b = $2 WHERE c = $1"
    )


def test_the_parameters_of_each_follow_those_of_the_one_before() -> None:
    assert one_statement(("INSERT a $2, $1, $1", "INSERT b $1", "INSERT c $1::TEXT, $2")) == (
        "WITH part_0 AS (INSERT a $2, $1, $1), part_1 AS (INSERT b $3) INSERT c $4::TEXT, $5"
    )


def test_a_statement_without_parameters_takes_none_of_the_numbers() -> None:
    assert one_statement(("INSERT a", "INSERT b $1")) == "WITH part_0 AS (INSERT a) INSERT b $1"
