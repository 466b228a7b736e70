from math import isnan

import pytest

from benchmarks.rates import percentile, steady_rate, waits, whole_rate


def evenly(count: int, a_second: float, begin: float = 1000.0) -> list[float]:
    return [begin + place / a_second for place in range(count)]


def test_a_steady_rate_is_that_of_the_ends() -> None:
    assert steady_rate(evenly(1000, 50.0)) == pytest.approx(50.0)


def test_the_order_in_which_they_are_noted_does_not_matter() -> None:
    assert steady_rate(reversed(evenly(1000, 50.0))) == pytest.approx(50.0)


def test_a_slow_start_and_a_slow_end_are_left_out() -> None:
    start, middle = evenly(90, 1.0), evenly(870, 50.0, begin=2000.0)
    end = evenly(40, 1.0, begin=3000.0)
    assert steady_rate(start + middle + end) == pytest.approx(50.0)


def test_what_ended_before_all_workers_were_ready_is_left_out() -> None:
    alone, together = evenly(500, 50.0), evenly(500, 100.0, begin=1010.0)
    assert steady_rate(alone + together, since=1010.0) == pytest.approx(100.0)


def test_readiness_that_leaves_too_few_is_not_heeded() -> None:
    ends = evenly(1000, 50.0)
    assert steady_rate(ends, since=ends[900]) == pytest.approx(50.0)


def test_what_ended_all_at_once_has_no_rate() -> None:
    assert isnan(steady_rate([7.0] * 10))


def test_a_whole_rate_is_from_the_first_start_to_the_last_end() -> None:
    assert whole_rate([3.0, 1.0, 2.0], [4.0, 7.0, 5.0]) == pytest.approx(3 / 6)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.50) == 51.0
    assert percentile(values, 0.99) == 100.0
    assert percentile([4.0], 0.99) == 4.0


def test_waits_are_milliseconds() -> None:
    assert waits([1.0, 2.0], [1.5, 2.001]) == pytest.approx([500.0, 1.0])
