"""Durations: reading them, and writing them so that they can be read."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.domain.duration import LONGEST, Duration, duration, duration_text
from cueline.domain.errors import InvalidInput
from tests.unit.domain.factories import modest


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("2h", 7200),
        ("500ms", 0.5),
        ("7d", 604_800),
        ("1d2h3m4s5ms", 93_784.005),
        ("1.5h", 5400),
        ("0.5ms", 0.0005),
        (" 5m ", 300),
        ("0s", 0),
        (90, 90),
        (0.25, 0.25),
        (0, 0),
        (timedelta(minutes=2), 120),
        (LONGEST, LONGEST.total_seconds()),
    ],
    ids=repr,
)
def test_a_duration_is_read(value: Duration, seconds: float) -> None:
    assert duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    ["", "s", "30", "30 s", "5 minutes", "1h-3m", "-5s", "1e3s", ".5s", "5S", "1h\n2m", "٣s"],
    ids=repr,
)
def test_a_text_that_is_no_duration_is_refused_with_its_path(value: str) -> None:
    with pytest.raises(InvalidInput, match="is not a duration") as refused:
        duration(value, "delay")
    assert [problem.path for problem in refused.value.problems] == ["delay"]


@pytest.mark.parametrize("value", [True, None, [], {}, b"5s", float("nan")], ids=repr)
def test_other_values_are_refused(value: Duration) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        duration(value)


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.001,
        timedelta(seconds=-1),
        LONGEST + timedelta(seconds=1),
        "3651d",
        pytest.param("9" * 63 + "d", id="many digits"),
        float("inf"),
        float("-inf"),
        10**400,
        pytest.param(-(10**5000), id="a very long integer"),
        timedelta.max,
    ],
    ids=repr,
)
def test_what_is_out_of_range_is_refused(value: Duration) -> None:
    with pytest.raises(InvalidInput, match="is out of range: use zero to 3650 days"):
        duration(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=30), "30s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=48), "2d"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(microseconds=500), "0.5ms"),
        (timedelta(microseconds=999_999), "999.999ms"),
        (timedelta(days=1, microseconds=1), "1d0.001ms"),
    ],
    ids=str,
)
def test_a_duration_is_written_in_the_largest_units(value: timedelta, text: str) -> None:
    assert duration_text(value) == text


@modest
@given(st.timedeltas(timedelta(0), LONGEST))
def test_a_duration_that_is_written_reads_back_the_same(value: timedelta) -> None:
    assert duration(duration_text(value)) == value


@modest
@given(st.text(alphabet="0123456789.dhms- e+", max_size=70) | st.text(max_size=70))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with suppress(InvalidInput):
        assert timedelta(0) <= duration(text) <= LONGEST
