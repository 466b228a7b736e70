"""What it means that an invariant is broken, and how checks are registered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeAlias

from tests.simulation.database import Commit
from tests.simulation.world import World


class Violation(Exception):
    """An invariant that does not hold, by its number in docs/simulation.md, and the proof."""

    def __init__(self, invariant: str, proof: str) -> None:
        self.invariant = invariant
        self.proof = proof
        super().__init__(f"{invariant}: {proof}")


CommitCheck: TypeAlias = Callable[[Commit], Iterator[str]]
EndCheck: TypeAlias = Callable[[World], Iterator[str]]

AT_COMMIT: list[tuple[str, CommitCheck]] = []
"""Checks of each commit, given what it changed; they yield what is wrong."""

AT_END: list[tuple[str, EndCheck]] = []
"""Checks of the state and the whole history once everything has ended."""


def at_commit(invariant: str) -> Callable[[CommitCheck], CommitCheck]:
    """Register a check of each commit."""

    def register(check: CommitCheck) -> CommitCheck:
        AT_COMMIT.append((invariant, check))
        return check

    return register


def at_end(invariant: str) -> Callable[[EndCheck], EndCheck]:
    """Register a check of the end."""

    def register(check: EndCheck) -> EndCheck:
        AT_END.append((invariant, check))
        return check

    return register


def check_commit(commit: Commit, among: Collection[str] | None = None) -> Iterator[Violation]:
    """All that is wrong with a commit, or what the checks in these modules find."""
    for invariant, check in AT_COMMIT:
        if among is None or check.__module__ in among:
            for proof in check(commit):
                yield Violation(invariant, proof)


def check_end(world: World, among: Collection[str] | None = None) -> Iterator[Violation]:
    """All that is wrong with the end, or what the checks in these modules find."""
    for invariant, check in AT_END:
        if among is None or check.__module__ in among:
            for proof in check(world):
                yield Violation(invariant, proof)
