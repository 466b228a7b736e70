"""Text for the terminal: what others wrote, made harmless, and times as people read them.

Names, messages and outputs come from outside. An escape sequence in one could rewrite the screen, a
line break could forge a row, an override of the writing direction could disguise a name. So every
such character is shown as its escape and none is ever sent to the terminal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

LONGEST_CELL = 120
"""How many cells of the terminal one value in a table may take."""

_UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # controls
    r"\u2028\u2029"  # line and paragraph separators
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # writing direction
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible: byte order mark, annotations, tags
    r"\ud800-\udfff"  # halves of surrogate pairs, which no output can encode
)
_CONTROL = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def clean(text: str) -> str:
    """The text on one line, with everything that could act on a terminal escaped."""
    return _CONTROL.sub(_escape, text)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, each of them clean."""
    return [clean(line.expandtabs(4)) for line in text.split("\n")]


def clean_json(text: str) -> str:
    """Serialised JSON, with what `json.dumps` leaves bare escaped the way JSON does."""
    return _CONTROL.sub(
        lambda found: found[0] if found[0] == "\n" else _json_escape(found[0]), text
    )


def clip(text: str, cells: int = LONGEST_CELL) -> str:
    """Clean text, shortened to so many cells of the terminal."""
    from rich.cells import cell_len, set_cell_size

    # However long the text is, no more of its characters than cells are looked at.
    shown = clean(text[: cells + 1])
    if len(text) <= cells and cell_len(shown) <= cells:
        return shown
    return set_cell_size(shown, cells - 1).rstrip() + "…"


def moment(at: datetime | None) -> str:
    """A time, to the second, in UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(length: timedelta | None) -> str:
    """A duration as people read it: 350ms, 12.3s, 3m20s, 2h05m, 4d03h."""
    if length is None:
        return ""
    seconds = max(0.0, length.total_seconds())
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h"


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 task, 2 tasks."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or _code(ord(character))


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
