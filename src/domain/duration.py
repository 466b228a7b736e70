"""Durations as people write them: `30s`, `1m30s`, `2h`, `500ms`, `7d`, or a number of seconds."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from cueline.domain.errors import InvalidInput, Problem

Duration: TypeAlias = timedelta | float | int | str
"""What may be given where a duration is wanted; a bare number counts seconds."""

LONGEST = timedelta(days=3650)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def duration(value: Duration, path: str = "duration") -> timedelta:
    """Read a duration of zero up to ten years, or raise `InvalidInput` naming `path`."""
    seconds = _seconds(value)
    if seconds is None or math.isnan(seconds):
        raise _refusal(path, f"{value!r} is not a duration: write 30s, 1m30s, 2h, or seconds")
    if not 0 <= seconds <= LONGEST.total_seconds():
        shown = f"{value!r}" if math.isfinite(seconds) else "the number"
        raise _refusal(path, f"{shown} is out of range: use zero to {LONGEST.days} days")
    return timedelta(seconds=seconds)


def duration_text(value: timedelta) -> str:
    """Write a duration exactly, in the largest units that fit, the way `duration` reads it."""
    parts = []
    rest = value
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, timedelta(seconds=_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / timedelta(milliseconds=1):g}ms")
    return "".join(parts) or "0s"


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return math.inf if abs(value) >= 2**63 else float(value)
    if not isinstance(value, str) or len(value) > 64:
        return None
    text = value.strip()
    if not _WHOLE.fullmatch(text):
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(text))


def _refusal(path: str, message: str) -> InvalidInput:
    return InvalidInput("the duration is not usable", [Problem(path, message)])
