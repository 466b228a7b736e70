"""How attempts ended that wait to be settled, and which of them are settled together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cueline.application.outcomes import Outcome

MOST_SETTLED = 500
"""How many tasks are settled in one transaction."""

SETTLEMENTS = 2
"""How many settlements of steps may be under way: the store carries out one, we prepare the next.

A step keeps its slot until it is settled; if all slots were settled together, nothing would be left
to be done meanwhile. Other tasks free theirs at once, and their settlements are the better the
larger they are.
"""


class Finished:
    """Outcomes in the order in which they came."""

    def __init__(self, slots: int) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._any = asyncio.Event()
        self._most_steps = max(1, slots // SETTLEMENTS)
        self._under_way = 0

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self._outcomes.append(outcome)
        self._any.set()

    async def wait(self) -> None:
        """Wait until one has come since the last wait."""
        await self._any.wait()
        self._any.clear()

    @contextmanager
    def some(self) -> Iterator[list[Outcome]]:
        """What is to be settled now, in this context; nothing if that will soon be more."""
        some = self._taken()
        self._under_way += bool(some)
        try:
            yield some
        finally:
            self._under_way -= bool(some)

    def _taken(self) -> list[Outcome]:
        taken: list[Outcome] = []
        steps_left = self._most_steps
        if self._under_way and self._outcomes and not is_of_step(self._outcomes[0]):
            return taken  # whoever is at it comes for more at the end
        while self._outcomes and steps_left and len(taken) < MOST_SETTLED:
            taken.append(self._outcomes.popleft())
            steps_left -= is_of_step(taken[-1])
        return taken


def is_of_step(outcome: Outcome) -> bool:
    """Whether it is a run's: such an outcome keeps its slot until it is known what follows."""
    return outcome.task.spec.origin is not None
