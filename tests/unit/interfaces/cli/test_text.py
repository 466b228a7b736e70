"""Text that came from outside must be harmless on a terminal; times must read well."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.cells import cell_len

from cueline.interfaces.cli.text import clean, clean_json, clean_lines, clip, moment, span


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x7f\x9b2J", r"\x00\x7f\x9b2J"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("half \ud83d", r"half \ud83d"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("[bold]漢字[/bold] é 👩‍👩‍👧", "[bold]漢字[/bold] é 👩‍👩‍👧"),
    ],
)
def test_what_could_act_on_a_terminal_is_shown_as_its_escape(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


def test_lines_stay_lines_and_each_is_cleaned() -> None:
    assert clean_lines("a\x1bb\n\tc\r\n") == [r"a\x1bb", r"    c\r", ""]


def test_json_is_escaped_the_way_json_does_it_and_stays_the_same_value() -> None:
    value = {"a": "\x7f\x9b\u202e \ud83d \U000e0041 é", "b": [1]}

    cleaned = clean_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(cleaned) == value
    assert cleaned.replace("\n", "").replace("é", "").isascii()


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [
        ("short", 10, "short"),
        ("exactly 10", 10, "exactly 10"),
        ("a little too long", 10, "a little…"),
        ("漢字漢字漢字", 12, "漢字漢字漢字"),
        ("漢字漢字漢字", 11, "漢字漢字漢…"),
        ("\x1b" * 4, 10, r"\x1b\x1b\…"),
    ],
)
def test_text_is_clipped_by_the_cells_it_takes(text: str, cells: int, shown: str) -> None:
    assert clip(text, cells) == shown
    assert cell_len(clip(text, cells)) <= cells


def test_a_very_long_text_is_clipped_without_a_look_at_all_of_it() -> None:
    assert cell_len(clip("x\u0301" * 10_000_000, 20)) <= 20


def test_a_time_is_shown_in_utc_to_the_second() -> None:
    there = timezone(timedelta(hours=2))

    assert moment(datetime(2026, 3, 1, 1, 30, 15, 999, tzinfo=there)) == "2026-02-28 23:30:15Z"
    assert moment(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01 00:00:00Z"
    assert moment(None) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0ms"),
        (0.35, "350ms"),
        (0.9996, "1.0s"),
        (12.34, "12.3s"),
        (59.96, "1m00s"),
        (200, "3m20s"),
        (3599.6, "1h00m"),
        (7500, "2h05m"),
        (86400 * 4 + 3600 * 3, "4d03h"),
        (-5, "0ms"),
    ],
)
def test_a_duration_is_shown_in_the_units_that_fit_it(seconds: float, shown: str) -> None:
    assert span(timedelta(seconds=seconds)) == shown
