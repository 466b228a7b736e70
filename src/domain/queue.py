"""A queue: a name under which tasks wait, with what an operator has set for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cueline.domain.task import Priority

WINDOW_FACTOR = 2
"""How many messages a queue keeps in the broker for each slot of a live worker."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and its settings. While it is paused, its tasks stay in the store, unclaimed."""

    name: str
    paused: bool = False

    def pause(self) -> Queue:
        """Start nothing more; what is running goes on. Pausing twice is pausing once."""
        return replace(self, paused=True)

    def resume(self) -> Queue:
        """Let tasks start again."""
        return replace(self, paused=False)

    def window(self, slots: int) -> int:
        """How many messages the broker may hold, given the live workers' slots for this queue.

        Twice the slots: enough that a worker which becomes free finds a message waiting, little
        enough that the order in which tasks start is still decided in the store.
        """
        return 0 if self.paused else WINDOW_FACTOR * slots

    def room(self, slots: int, held: Sequence[int], priority: Priority) -> int:
        """How many more messages of a priority the broker may be given; it holds so many of each.

        What is less urgent takes no room away: it will be overtaken. So a broker that is full of
        low tasks still takes a critical one at once, and never holds more than a window of each.
        """
        return max(0, self.window(slots) - sum(held[: priority + 1]))
