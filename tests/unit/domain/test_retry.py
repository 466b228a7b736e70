"""Retry policies: how far apart attempts are, and when there are no more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.duration import LONGEST
from cueline.domain.errors import InvalidInput
from cueline.domain.failure import Failure
from cueline.domain.retry import (
    MOST_ATTEMPTS,
    NO_RETRY,
    Backoff,
    GiveUp,
    RetryAfter,
    RetryPolicy,
    error_names,
    exponential,
    fixed,
    linear,
)
from tests.unit.domain.factories import SECOND, a_failure, modest


class PaymentError(Exception):
    pass


class CardExpired(PaymentError):
    pass


def delays(policy: RetryPolicy, count: int) -> list[float]:
    return [policy.delay_after(n).total_seconds() for n in range(1, count + 1)]


def problem_paths(refused: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [problem.path for problem in refused.value.problems]


# --- how far apart --------------------------------------------------------------------------------


def test_exponential_delays_double() -> None:
    assert delays(exponential(attempts=6), 5) == [1, 2, 4, 8, 16]


def test_linear_delays_grow_by_the_same_step() -> None:
    assert delays(linear(attempts=4), 3) == [1, 2, 3]


def test_fixed_delays_stay_the_same() -> None:
    assert delays(fixed(attempts=4), 3) == [5, 5, 5]


def test_the_factor_and_the_first_delay_can_be_chosen() -> None:
    assert delays(exponential(attempts=4, first="2s", factor=3), 3) == [2, 6, 18]
    assert delays(linear(attempts=4, first="90s"), 3) == [90, 180, 270]
    assert delays(fixed(attempts=4, every="1m"), 2) == [60, 60]


def test_the_cap_ends_the_growth() -> None:
    assert delays(exponential(attempts=9, cap="10s"), 6) == [1, 2, 4, 8, 10, 10]
    assert delays(linear(attempts=9, first="4s", cap="10s"), 4) == [4, 8, 10, 10]


def test_a_cap_below_the_first_delay_holds_too() -> None:
    assert delays(RetryPolicy(backoff=Backoff.FIXED, first=5 * SECOND, cap=SECOND), 2) == [1, 1]
    assert delays(exponential(attempts=3, cap=0), 2) == [0, 0]


def test_a_fixed_delay_is_not_capped_by_the_standard_hour() -> None:
    assert delays(fixed(attempts=3, every="1d"), 2) == [86_400, 86_400]


@pytest.mark.parametrize("factor", [2.0, 2, 1.5, 100], ids=repr)
def test_a_million_failures_overflow_nothing(factor: float) -> None:
    policy = exponential(attempts=3, factor=factor, cap="1h")
    assert policy.delay_after(10**6) == timedelta(hours=1)
    assert linear(attempts=3, cap="1h").delay_after(10**6) == timedelta(hours=1)


@pytest.mark.parametrize("backoff", Backoff)
def test_no_first_delay_means_no_delay_ever(backoff: Backoff) -> None:
    policy = RetryPolicy(attempts=1000, backoff=backoff, first=timedelta(0), factor=100)
    assert policy.delay_after(999) == timedelta(0)


@modest
@given(
    st.sampled_from(Backoff),
    st.timedeltas(timedelta(0), timedelta(days=1)),
    st.timedeltas(timedelta(0), LONGEST),
    st.floats(1, 100),
    st.integers(1, MOST_ATTEMPTS),
)
def test_delays_never_shrink_and_never_pass_the_cap(
    backoff: Backoff, first: timedelta, cap: timedelta, factor: float, failures: int
) -> None:
    policy = RetryPolicy(backoff=backoff, first=first, cap=cap, factor=factor)
    assert timedelta(0) <= policy.delay_after(failures) <= cap
    assert policy.delay_after(failures) <= policy.delay_after(failures + 1)


# --- what follows a failure -----------------------------------------------------------------------


def test_a_failure_is_followed_by_an_attempt_while_there_are_any() -> None:
    policy = exponential(attempts=3)
    assert policy.decide(1, a_failure(), 0.0) == RetryAfter(SECOND)
    assert policy.decide(2, a_failure(), 0.0) == RetryAfter(2 * SECOND)
    assert policy.decide(3, a_failure(), 0.0) == GiveUp("attempt 3 of 3 was the last")


def test_one_attempt_means_no_retry() -> None:
    assert isinstance(NO_RETRY.decide(1, a_failure(), 0.0), GiveUp)


def test_jitter_takes_a_share_of_the_delay_away() -> None:
    policy = fixed(attempts=3, every="10s", jitter=0.5)
    assert policy.decide(1, a_failure(), 0.0) == RetryAfter(10 * SECOND)
    assert policy.decide(1, a_failure(), 0.5) == RetryAfter(7.5 * SECOND)
    assert policy.decide(1, a_failure(), 0.999_999) == RetryAfter(timedelta(seconds=5.000_005))


def test_chance_does_not_matter_without_jitter() -> None:
    assert fixed(attempts=3).decide(1, a_failure(), 0.7) == RetryAfter(5 * SECOND)


@modest
@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_a_jittered_delay_lies_between_its_least_and_the_whole(
    jitter: float, chance: float
) -> None:
    decision = fixed(attempts=2, every="10s", jitter=jitter).decide(1, a_failure(), chance)
    assert isinstance(decision, RetryAfter)
    assert timedelta(0) <= decision.delay <= 10 * SECOND


@pytest.mark.parametrize(
    "permanent",
    [
        PaymentError,
        CardExpired,
        "PaymentError",
        "CardExpired",
        f"{__name__}.PaymentError",
        "Exception",
        "builtins.Exception",
    ],
    ids=str,
)
def test_an_error_listed_as_permanent_is_not_retried(permanent: type[Exception] | str) -> None:
    policy = exponential(attempts=5, permanent=[permanent])
    decision = policy.decide(1, Failure.of(CardExpired()), 0.0)
    assert isinstance(decision, GiveUp)
    assert "is listed as permanent" in decision.reason


@pytest.mark.parametrize("permanent", [CardExpired, "Payment", "shop.PaymentError"], ids=str)
def test_a_subclass_or_another_name_that_is_listed_does_not_count(
    permanent: type[Exception] | str,
) -> None:
    policy = exponential(attempts=5, permanent=[permanent])
    assert isinstance(policy.decide(1, Failure.of(PaymentError()), 0.0), RetryAfter)


def test_timeouts_and_lost_workers_can_be_listed() -> None:
    policy = exponential(attempts=5, permanent=[TimeoutError, "WorkerLost"])
    assert isinstance(policy.decide(1, Failure.timed_out(1), 0.0), GiveUp)
    assert isinstance(policy.decide(1, Failure.worker_lost("w"), 0.0), GiveUp)


def test_a_handler_can_say_that_its_error_is_permanent() -> None:
    decision = exponential(attempts=5).decide(1, a_failure(permanent=True), 0.0)
    assert decision == GiveUp("the handler said that the error is permanent")


def test_errors_are_named_by_module_and_qualified_name() -> None:
    assert error_names([CardExpired, "shop.OutOfStock"]) == {
        f"{__name__}.CardExpired",
        "shop.OutOfStock",
    }


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"attempts": 0}, "retry.attempts"),
        ({"attempts": -1}, "retry.attempts"),
        ({"attempts": MOST_ATTEMPTS + 1}, "retry.attempts"),
        ({"factor": 0.5}, "retry.factor"),
        ({"factor": 101}, "retry.factor"),
        ({"factor": float("nan")}, "retry.factor"),
        ({"factor": float("inf")}, "retry.factor"),
        ({"jitter": -0.1}, "retry.jitter"),
        ({"jitter": 1.1}, "retry.jitter"),
        ({"jitter": float("nan")}, "retry.jitter"),
        ({"first": timedelta(seconds=-1)}, "retry.first"),
        ({"first": timedelta.max}, "retry.first"),
        ({"cap": timedelta(seconds=-1)}, "retry.cap"),
        ({"cap": timedelta.max}, "retry.cap"),
    ],
    ids=str,
)
def test_a_bad_value_is_refused_with_its_path(fields: dict[str, float], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        RetryPolicy(**fields)  # type: ignore[arg-type]  # each value has its field's type
    assert problem_paths(refused) == [path]


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        RetryPolicy(attempts=0, factor=0, jitter=2)
    assert problem_paths(refused) == ["retry.attempts", "retry.factor", "retry.jitter"]


def test_a_duration_that_cannot_be_read_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidInput) as first:
        exponential(attempts=3, first="soon")
    with pytest.raises(InvalidInput) as cap:
        linear(attempts=3, cap=-1)
    with pytest.raises(InvalidInput) as every:
        fixed(attempts=3, every="5 parsecs")
    paths = [problem_paths(refused) for refused in (first, cap, every)]
    assert paths == [["retry.first"], ["retry.cap"], ["retry.every"]]
