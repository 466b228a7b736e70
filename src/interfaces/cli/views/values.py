"""Values that many answers have in common: states, times, errors, JSON."""

from __future__ import annotations

import json

from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.interfaces.cli.table import Cell

LONGEST_VALUE = 4000
"""How much of an input or output a sheet shows."""

STYLES = {
    "scheduled": "blue",
    "queued": "yellow",
    "waiting": "dim",
    "running": "cyan",
    "paused": "yellow",
    "succeeded": "green",
    "live": "green",
    "open": "green",
    "failed": "bold red",
    "lost": "bold red",
    "lapsed": "red",
    "cancelled": "magenta",
    "stopped": "dim",
    "compensating": "yellow",
    "compensated": "magenta",
    "compensation_failed": "bold red",
    "snoozed": "blue",
    "released": "blue",
}


def state_cell(state: str) -> Cell:
    """A state in its colour."""
    return Cell(state, STYLES.get(state, ""))


def failure_cell(failure: Failure | None) -> Cell:
    """An error in full."""
    if failure is None:
        return Cell()
    head = f"{failure.type}: {failure.message}" if failure.message else failure.type
    return Cell(f"{head}\n{failure.traceback}".rstrip(), "red", many_lines=True)


def json_cell(value: Json) -> Cell:
    """A value laid out for reading, cut if it is very long."""
    if value is None:
        return Cell()
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}…\n({len(text)} characters; --json shows all)"
    return Cell(text, many_lines=True)


def json_value(value: Json) -> str:
    """A value on one line; a text stands without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
