"""Cutting a failing plan down to what it takes to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.simulation.broker import MessageOdds
from tests.simulation.plan import Happening, Plan
from tests.simulation.surroundings import CallOdds

MOST_TRIES = 250


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """The shortest plan found that still fails in the same way: fewer happenings, fewer odds."""
    tries = 0

    def still_fails(candidate: Plan) -> bool:
        nonlocal tries
        tries += 1
        return tries <= MOST_TRIES and fails(candidate)

    plan = _without_odds(plan, still_fails)
    happenings = list(plan.happenings)
    size = max(1, len(happenings) // 2)
    while happenings:
        left = _without_parts(happenings, size, lambda rest: still_fails(plan.with_only(rest)))
        if len(left) == len(happenings) and size == 1:
            break
        happenings = left
        size = max(1, size // 2)
    return plan.with_only(happenings)


def _without_odds(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    for calm in (replace(plan, calls=CallOdds()), replace(plan, messages=MessageOdds())):
        calmer = replace(
            plan,
            calls=calm.calls if calm.calls == CallOdds() else plan.calls,
            messages=calm.messages if calm.messages == MessageOdds() else plan.messages,
        )
        if fails(calmer):
            plan = calmer
    return plan


def _without_parts(
    happenings: Sequence[Happening], size: int, fails: Callable[[Sequence[Happening]], bool]
) -> list[Happening]:
    """Try to leave out each stretch of this size, from the end on."""
    left = list(happenings)
    for start in range((len(left) - 1) // size * size, -1, -size):
        rest = left[:start] + left[start + size :]
        if fails(rest):
            left = rest
    return left
