"""Errors as they are kept."""

from __future__ import annotations

import pytest

from cueline.domain.errors import PermanentError
from cueline.domain.failure import LONGEST_MESSAGE, LONGEST_TRACEBACK, Failure


class OutOfStock(LookupError):
    class ForGood(Exception):
        pass


class GiveUp(PermanentError):
    pass


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this works")


def raised(error: BaseException) -> BaseException:
    """The error as it comes out of a handler: with a traceback."""
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - any error at all is the point
        return caught


def test_a_builtin_error_is_known_by_its_bare_name() -> None:
    failure = Failure.of(ValueError("no such order"))
    assert (failure.type, failure.message) == ("ValueError", "no such order")


def test_any_other_error_is_known_by_its_qualified_name() -> None:
    assert Failure.of(OutOfStock()).type == f"{__name__}.OutOfStock"
    assert Failure.of(OutOfStock.ForGood()).type == f"{__name__}.OutOfStock.ForGood"


def test_the_lineage_names_the_error_and_its_ancestors_bare_and_qualified() -> None:
    lineage = Failure.of(OutOfStock()).lineage
    assert lineage >= {"OutOfStock", f"{__name__}.OutOfStock", "LookupError", "Exception"}
    assert lineage >= {"builtins.LookupError", "BaseException"}
    assert "object" not in lineage
    assert {"ForGood", "OutOfStock.ForGood"} <= Failure.of(OutOfStock.ForGood()).lineage


def test_the_traceback_is_kept_with_its_causes() -> None:
    error = raised(ValueError("outer"))
    error.__cause__ = raised(KeyError("inner"))
    kept = Failure.of(error).traceback
    assert "KeyError: 'inner'" in kept
    assert "direct cause" in kept
    assert kept.rstrip().endswith("ValueError: outer")


def test_long_messages_and_tracebacks_are_cut_to_what_can_be_kept() -> None:
    failure = Failure.of(raised(ValueError("x" * 1_000_000)))
    assert len(failure.message) == LONGEST_MESSAGE
    assert len(failure.traceback) == LONGEST_TRACEBACK


@pytest.mark.parametrize("error", [PermanentError("no"), GiveUp("no")], ids=["itself", "subclass"])
def test_a_permanent_error_makes_the_failure_permanent(error: BaseException) -> None:
    assert Failure.of(error).permanent


def test_other_errors_do_not_make_it_permanent() -> None:
    assert not Failure.of(ValueError()).permanent


def test_an_error_whose_message_cannot_be_read_is_described_all_the_same() -> None:
    failure = Failure.of(raised(Unreadable()))
    assert failure.type == f"{__name__}.Unreadable"
    assert failure.message == "(its message cannot be read: RuntimeError)"
    assert "Unreadable" in failure.traceback


def test_what_no_store_can_hold_is_written_out() -> None:
    failure = Failure.of(raised(ValueError("half \udc80, nothing \0")))
    assert failure.message == "half \\udc80, nothing \\x00"
    failure.traceback.encode()
    assert "\0" not in failure.traceback


def test_a_timeout_is_a_failure_that_a_policy_can_name() -> None:
    failure = Failure.timed_out(90)
    assert failure.summary == "TimeoutError: the attempt took longer than its timeout of 90 s"
    assert {"TimeoutError", "builtins.TimeoutError"} <= failure.lineage
    assert not failure.permanent


def test_a_lost_worker_is_a_failure_that_admits_what_is_not_known() -> None:
    failure = Failure.worker_lost("w-1")
    assert failure.type == "WorkerLost"
    assert "w-1" in failure.message
    assert "unknown" in failure.message
    assert failure.lineage == {"WorkerLost"}


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ("no such order", "E: no such order"),
        ("first\nsecond", "E: first"),
        ("", "E"),
        ("\n", "E"),
    ],
    ids=["one line", "many lines", "no message", "an empty line"],
)
def test_the_summary_is_the_type_and_the_first_line(message: str, summary: str) -> None:
    assert Failure("E", message).summary == summary
