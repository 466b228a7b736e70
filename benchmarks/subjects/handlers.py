"""What the tasks of all subjects do: note in the ledger that they ran, and nothing else."""

from __future__ import annotations

import os
from functools import cache

from benchmarks.ledger import Ledger

STEPS = 4
"""How many steps a chain has."""

BRANCHES = 10
"""How many parallel steps a fan has, before the one that joins them."""


@cache
def ledger() -> Ledger:
    """The ledger of this run, which the harness has made."""
    return Ledger(os.environ["BENCH_LEDGER"])


def nothing(number: int) -> int:
    """A task that does nothing; its number is its result."""
    notes = ledger()
    notes.started(number)
    notes.ended(number)
    return number


def step(number: int, place: int) -> int:
    """One of a chain's steps, by its place from 0: the chain starts and ends with them."""
    if place == 0:
        ledger().started(number)
    if place == STEPS - 1:
        ledger().ended(number)
    return number


def branch(number: int, place: int) -> int:
    """One of a fan's parallel steps: the fan starts with the first of them."""
    if place == 0:
        ledger().started(number)
    return number


def join(number: int) -> int:
    """The last step of a fan."""
    ledger().ended(number)
    return number
