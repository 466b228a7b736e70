"""Rates and percentiles, from the times in a ledger."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

WARM_UP = 0.10
TAIL = 0.95
"""A rate is that between these shares of all ends: the start and the tail are left out."""

LEAST = 0.25
"""The share of all ends that a rate has to rest upon, even if it began before all were ready."""


def steady_rate(ends: Iterable[float], since: float = 0.0) -> float:
    """How many ended a second, between the 10th and 95th percentile and after `since`.

    If too few are left after `since`, which is when all workers were ready, it is not heeded.
    """
    times = sorted(ends)
    last = min(int(len(times) * TAIL), len(times) - 1)
    first = max(int(len(times) * WARM_UP), bisect_left(times, since))
    if last - first < len(times) * LEAST:
        first = int(len(times) * WARM_UP)
    took = times[last] - times[first]
    return (last - first) / took if took > 0 else float("nan")


def whole_rate(starts: Iterable[float], ends: Sequence[float]) -> float:
    """How many a second, from the first start to the last end.

    For what ends together because it was begun together, as the chains of a queue in order are.
    """
    took = max(ends) - min(starts)
    return len(ends) / took if took > 0 else float("nan")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that is not exceeded by this share of them."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def waits(begins: Sequence[float], ends: Sequence[float]) -> list[float]:
    """From each begin to its end, in milliseconds."""
    return [(end - begin) * 1000 for begin, end in zip(begins, ends, strict=True)]
