"""When a failed attempt is followed by another, and after how long.

The policy only computes: it is given the number of failures so far, what went wrong and a random
number, and answers with a decision. Nobody sleeps here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from cueline.domain.duration import LONGEST, Duration, duration
from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.failure import Failure

MOST_ATTEMPTS = 1000

_RANGE = f"use a duration from zero to {LONGEST.days} days"


class Backoff(StrEnum):
    """How the delay grows with the number of failures n (1, 2, 3 ...)."""

    FIXED = "fixed"  # first, first, first ...
    LINEAR = "linear"  # first * n
    EXPONENTIAL = "exponential"  # first * factor ** (n - 1)


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again once this much time has passed."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no further attempt, and why not."""

    reason: str


RetryDecision: TypeAlias = RetryAfter | GiveUp


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many attempts a task is worth and how far apart they are.

    `attempts` counts every attempt, the first included: 1 means no retry. `jitter` (0 to 1) is the
    share of each delay that chance may take away, which spreads the retries of tasks that failed
    together. `permanent` names the errors that are never retried: an exception's class name, bare
    or qualified (`ValueError`, `shop.errors.OutOfStock`), its subclasses included.
    """

    attempts: int = 3
    backoff: Backoff = Backoff.EXPONENTIAL
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.0
    permanent: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        problems = [
            Problem(f"retry.{path}", message)
            for path, broken, message in (
                ("attempts", not 1 <= self.attempts <= MOST_ATTEMPTS, f"use 1 to {MOST_ATTEMPTS}"),
                ("factor", not 1 <= self.factor <= 100, "use 1 to 100"),
                ("jitter", not 0 <= self.jitter <= 1, "use a share from 0 to 1"),
                ("first", not timedelta(0) <= self.first <= LONGEST, _RANGE),
                ("cap", not timedelta(0) <= self.cap <= LONGEST, _RANGE),
            )
            if broken
        ]
        if problems:
            raise InvalidInput("the retry policy is not usable", problems)

    def decide(self, failures: int, failure: Failure, chance: float) -> RetryDecision:
        """Decide what follows the failure that made the count `failures` (1 for the first).

        `chance` is a random number in [0, 1); with `jitter` 0 it does not matter.
        """
        if failure.permanent:
            return GiveUp("the handler said that the error is permanent")
        if named := self.permanent.intersection(failure.lineage):
            return GiveUp(f"{min(named)} is listed as permanent")
        if failures >= self.attempts:
            return GiveUp(f"attempt {failures} of {self.attempts} was the last")
        return RetryAfter(self.delay_after(failures) * (1 - self.jitter * chance))

    def delay_after(self, failures: int) -> timedelta:
        """The delay after the n-th failure, capped, before jitter."""
        match self.backoff:
            case Backoff.FIXED:
                multiple = 1.0
            case Backoff.LINEAR:
                multiple = float(failures)
            case Backoff.EXPONENTIAL:
                multiple = self._power(failures - 1)
        if not self.first:
            return self.first
        if multiple >= self.cap / self.first:  # before it could overflow
            return self.cap
        return min(self.first * multiple, self.cap)

    def _power(self, exponent: int) -> float:
        try:
            return float(self.factor) ** exponent
        except OverflowError:
            return float("inf")


def fixed(
    *,
    attempts: int,
    every: Duration = 5.0,
    jitter: float = 0.0,
    permanent: Sequence[type[BaseException] | str] = (),
) -> RetryPolicy:
    """Retry at a constant distance: 5, 5, 5 ... seconds."""
    return RetryPolicy(
        attempts=attempts,
        backoff=Backoff.FIXED,
        first=duration(every, "retry.every"),
        cap=max(duration(every, "retry.every"), timedelta(hours=1)),
        jitter=jitter,
        permanent=error_names(permanent),
    )


def linear(
    *,
    attempts: int,
    first: Duration = 1.0,
    cap: Duration = "1h",
    jitter: float = 0.0,
    permanent: Sequence[type[BaseException] | str] = (),
) -> RetryPolicy:
    """Retry at a distance that grows by the same step: 1, 2, 3 ... seconds."""
    return RetryPolicy(
        attempts=attempts,
        backoff=Backoff.LINEAR,
        first=duration(first, "retry.first"),
        cap=duration(cap, "retry.cap"),
        jitter=jitter,
        permanent=error_names(permanent),
    )


def exponential(
    *,
    attempts: int,
    first: Duration = 1.0,
    factor: float = 2.0,
    cap: Duration = "1h",
    jitter: float = 0.0,
    permanent: Sequence[type[BaseException] | str] = (),
) -> RetryPolicy:
    """Retry at a distance that multiplies: 1, 2, 4, 8, 16 ... seconds."""
    return RetryPolicy(
        attempts=attempts,
        backoff=Backoff.EXPONENTIAL,
        first=duration(first, "retry.first"),
        factor=factor,
        cap=duration(cap, "retry.cap"),
        jitter=jitter,
        permanent=error_names(permanent),
    )


NO_RETRY = RetryPolicy(attempts=1)


def error_names(errors: Sequence[type[BaseException] | str]) -> frozenset[str]:
    """The names by which a policy knows these errors."""
    return frozenset(
        error if isinstance(error, str) else f"{error.__module__}.{error.__qualname__}"
        for error in errors
    )
