"""What the script that takes hints answers.

A tag names one delivery of a hint: `<priority> <moment it is due again> <age> <hint>`. It is the
member of the set of what is taken, so acknowledging is removing it; and since the moment is another
each time that the hint is taken, an acknowledgement that comes too late removes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cueline.application.ports.broker import Delivery
from cueline.domain.task import Priority
from cueline.infrastructure.hints import MalformedHint, decode

Answer = tuple[int, Sequence[tuple[int, Sequence[bytes]]]]
"""How many entries the script has dropped; and what was taken: numbers of queues, and tags."""


@dataclass(slots=True)
class Taken:
    """What was taken: what can be believed, and by queue the tags of what cannot."""

    dropped: int
    deliveries: list[Delivery] = field(default_factory=list)
    refused: dict[str, list[bytes]] = field(default_factory=dict)

    @property
    def unbelievable(self) -> int:
        """How many entries were none of ours."""
        return self.dropped + sum(map(len, self.refused.values()))


def tag_of(priority: Priority, due_again: int, age: bytes, hint: bytes) -> bytes:
    """The tag of a hint that was taken, as the script would have made it."""
    return b"%d %d %b %b" % (priority, due_again, age, hint)


def due_again_of(tag: str) -> int:
    """When the hint is due again, in milliseconds."""
    return int(tag.split(" ", 2)[1])


def age_of(tag: str) -> str:
    """The age of the hint, as Redis writes it."""
    return tag.split(" ", 3)[2]


def read(answer: Answer, queues: Sequence[str]) -> Taken:
    """What was taken of these queues, in the order in which the script knows them."""
    dropped, parts = answer
    taken = Taken(dropped)
    for number, tags in parts:
        queue = queues[number]
        for tag in tags:
            try:
                message = decode(tag.split(b" ", 3)[3])
            except MalformedHint:
                message = None
            # A hint that lies in another queue than its own could not be acknowledged.
            if message is not None and message.queue == queue:
                taken.deliveries.append(Delivery(message, tag.decode()))
            else:
                taken.refused.setdefault(queue, []).append(tag)
    return taken
