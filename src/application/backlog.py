"""A backlog as a worker sees it: whether there is one, and what of it comes from where."""

from __future__ import annotations

from collections.abc import Sequence

from cueline.application.hints import Hints
from cueline.application.ports.broker import Delivery
from cueline.domain.task import Priority, Task

HEARD_SHARE = 8
"""An eighth of what is taken of a backlog comes from the broker: every message costs all of us."""

MOST_HEARD = 250
"""How many messages are asked for at once during a backlog."""

UNHEARD_FOR = 0.05
"""How long the broker is left alone at most, in seconds: something urgent may have come there."""

AMPLE_SHARE = 4
"""A quarter of what was asked for is so much that there is likely to be more."""


class Backlog:
    """Divides what a worker claims between the broker and the store.

    While claims follow one another quickly and the store gives all that it is asked for, each claim
    is of one place: two cost a statement and a message's round trip more. What the broker is owed
    adds up until it fills a claim.
    """

    def __init__(self) -> None:
        self.is_there = False
        """Whether the store is likely to have something that nobody told of."""
        self.urgency = Priority.LOW
        """What was left at the broker is no more urgent than this; LOW, too, if nothing was."""
        self._broker_has_more = True
        self._heard_at = float("-inf")
        self._owed = 0.0
        self._store_gave_all = False
        self._store_urgency = Priority.CRITICAL  # what is left there is no more urgent

    def to_hear(self, limit: int, now: float) -> int:
        """How many of the next claim are to be asked of the broker; the rest is the store's.

        While the broker has something, a single task is its: so those come in its order.
        """
        most = min(limit, MOST_HEARD)
        self._owed += limit / HEARD_SHARE
        if self.urgency < self._store_urgency:  # more of that goes before all that the store has
            return max(1, most // 2)
        is_recent = now - self._heard_at < UNHEARD_FOR
        may_wait = is_recent and self._owed < most and (limit > 1 or not self._broker_has_more)
        return 0 if self._store_gave_all and may_wait else min(most, max(1, int(self._owed)))

    def note_heard(self, asked: int, deliveries: Sequence[Delivery], now: float) -> None:
        """Note what the broker gave; nothing, if it is away."""
        self._heard_at = now
        self._broker_has_more = 0 < asked <= len(deliveries)
        if self._broker_has_more:
            self._owed = max(0.0, self._owed - len(deliveries))
            self.urgency = max(delivery.message.priority for delivery in deliveries)
        else:
            self._owed, self.urgency = 0.0, Priority.LOW

    def note_claimed(self, hints: Hints, claimed: Sequence[Task]) -> None:
        """Note what a claim brought: nothing, if it failed.

        The backlog is over when that is little and the store gave less than all it was asked for,
        although nothing more urgent held it back.
        """
        unheard_of = hints.unheard_of(claimed)
        may_go_on = self.is_there  # if the store was not asked, that says nothing of it
        if hints.from_store:
            self._store_gave_all = len(unheard_of) == hints.from_store
            was_held_back = not self._store_gave_all and hints.urgency < Priority.LOW
            may_go_on = self._store_gave_all or was_held_back
            if was_held_back:
                self._store_urgency = Priority(hints.urgency + 1)
            elif unheard_of:
                self._store_urgency = max(task.spec.priority for task in unheard_of)
        is_much = bool(claimed) and len(claimed) * AMPLE_SHARE >= hints.wanted
        self.is_there = is_much or may_go_on
