"""How attempts ended that wait to be settled, and which of them are settled together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cueline.application.outcomes import Outcome

MOST_SETTLED = 500
"""How many tasks that are no steps are settled in one transaction."""

SETTLEMENTS = 2
"""How many settlements of steps may be under way: the store carries out one, we prepare the next.

A step keeps its slot until it is settled; if all slots were settled together, nothing would be left
to be done meanwhile. So each takes half of them. Other tasks free theirs at once, and the more of
them are settled together the better: they are in one settlement at a time.
"""


class Finished:
    """Outcomes, those of steps apart from the others, each in the order in which they came."""

    def __init__(self, slots: int) -> None:
        self._steps: deque[Outcome] = deque()
        self._others: deque[Outcome] = deque()
        self._any = asyncio.Event()
        self._most_steps = max(1, slots // SETTLEMENTS)
        self._are_others_under_way = False

    def add(self, outcome: Outcome) -> None:
        """One more."""
        (self._steps if is_of_step(outcome) else self._others).append(outcome)
        self._any.set()

    async def wait(self) -> None:
        """Wait until one has come since the last wait."""
        await self._any.wait()
        self._any.clear()

    @contextmanager
    def some(self) -> Iterator[list[Outcome]]:
        """What is to be settled now, in this context; nothing if whoever is at it comes again."""
        steps = _taken(self._steps, self._most_steps)
        others = [] if self._are_others_under_way else _taken(self._others, MOST_SETTLED)
        self._are_others_under_way |= bool(others)
        try:
            yield steps + others
        finally:
            if others:
                self._are_others_under_way = False


def _taken(outcomes: deque[Outcome], most: int) -> list[Outcome]:
    return [outcomes.popleft() for _ in range(min(len(outcomes), most))]


def is_of_step(outcome: Outcome) -> bool:
    """Whether it is a run's: such an outcome keeps its slot until it is known what follows."""
    return outcome.task.spec.origin is not None
