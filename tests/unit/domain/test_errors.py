"""The errors: what they say and what they carry."""

from __future__ import annotations

import pytest

from cueline.domain.errors import (
    Conflict,
    CuelineError,
    DefinitionChanged,
    ExpressionError,
    HandlerError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    PermanentError,
    Problem,
    Unavailable,
    UnknownTask,
    WorkerEvicted,
)

SAYINGS: list[tuple[CuelineError, str]] = [
    (InvalidInput("the input does not fit"), "the input does not fit"),
    (
        InvalidInput("it does not fit", [Problem("a.b", "is no number"), Problem("", "is odd")]),
        "it does not fit: a.b: is no number; is odd",
    ),
    (NotFound("task", "t-1"), "there is no task 't-1'"),
    (NotFound("run", "r", "known: none"), "there is no run 'r'; known: none"),
    (
        UnknownTask("pay", ["refund", "charge"]),
        "the task is unknown: name: no task is called 'pay'; known: charge, refund",
    ),
    (
        UnknownTask("pay", [], "steps.pay.task"),
        (
            "the task is unknown: steps.pay.task: no task is called 'pay'; "
            "known: none: start a worker with --app first"
        ),
    ),
    (IllegalTransition("run", "r", "paused", "pause"), "run r is paused: it cannot pause"),
    (
        KeyReused("k", "task t-1"),
        (
            "key 'k' already belongs to task t-1, which was asked for differently; "
            "use a new key for a new request"
        ),
    ),
    (
        DefinitionChanged("order", 2),
        (
            "workflow 'order' version 2 is registered with another definition; "
            "register the change as version 3"
        ),
    ),
    (WorkerEvicted("w-1"), "worker w-1 lost its lease and was evicted"),
    (Unavailable("the broker"), "the broker does not answer"),
    (Unavailable("the broker", "refused"), "the broker does not answer: refused"),
]


@pytest.mark.parametrize(("error", "text"), SAYINGS, ids=[text for _, text in SAYINGS])
def test_an_error_says_what_is_wrong_and_what_to_do(error: CuelineError, text: str) -> None:
    assert str(error) == text


def test_every_error_that_cueline_raises_has_the_one_root() -> None:
    kinds = [InvalidInput, NotFound, Conflict, Unavailable, ExpressionError, HandlerError]
    assert {kind.__base__ for kind in kinds} == {CuelineError}


@pytest.mark.parametrize(
    ("kind", "root"),
    [
        (InvalidDefinition, InvalidInput),
        (UnknownTask, InvalidInput),
        (IllegalTransition, Conflict),
        (KeyReused, Conflict),
        (DefinitionChanged, Conflict),
        (WorkerEvicted, Conflict),
        (PermanentError, HandlerError),
    ],
)
def test_a_caller_can_catch_the_kind_of_an_error(
    kind: type[CuelineError], root: type[CuelineError]
) -> None:
    assert kind.__base__ is root


def test_the_problems_of_an_error_are_data() -> None:
    problems = [Problem("a", "is odd"), Problem("b", "is missing")]
    error = InvalidInput("it does not fit", problems)
    assert error.problems == tuple(problems)
    assert error.summary == "it does not fit"
