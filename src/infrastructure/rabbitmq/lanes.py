"""Our queues as queues of RabbitMQ: a lane for each priority.

A classic queue has priorities, a quorum queue of RabbitMQ 3.10 has none, and the two do not mean
the same by them. A queue for each priority means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from aio_pika.abc import AbstractConnection
from aiormq import Channel
from pamqp.common import FieldValue

from cueline.domain.task import Priority
from cueline.infrastructure.rabbitmq.link import underlay_of

# Said aloud, because a virtual host may have another type as its default.
_CLASSIC: dict[str, FieldValue] = {"x-queue-type": "classic"}


class Lane(NamedTuple):
    """The messages of one queue that have the same priority."""

    queue: str
    priority: Priority

    def name(self, namespace: str) -> str:
        """What the server calls it."""
        return f"{namespace}.{self.queue}.{self.priority.name.lower()}"


def lanes_of(queue: str) -> tuple[Lane, ...]:
    """The lanes of a queue, the most urgent first."""
    return tuple(Lane(queue, priority) for priority in sorted(Priority))


class Lanes:
    """The lanes that one connection uses. They are declared when they are first needed.

    `known` outlives the connection: it collects every queue that this process has ever used.
    """

    def __init__(self, connection: AbstractConnection, namespace: str, known: set[str]) -> None:
        self._connection = connection
        self._namespace = namespace
        self._known = known
        self._declared: set[str] = set()

    def __iter__(self) -> Iterator[Lane]:
        for queue in sorted(self._known):
            yield from lanes_of(queue)

    def name(self, lane: Lane) -> str:
        """What the server calls a lane."""
        return lane.name(self._namespace)

    async def require(self, queues: Collection[str]) -> None:
        """Have the lanes of these queues on the server."""
        missing = [queue for queue in queues if queue not in self._declared]
        if not missing:
            return
        # A declaration that is refused closes its channel, so it gets one of its own.
        async with self._connection.channel(publisher_confirms=False) as channel:
            underlay = await underlay_of(channel)
            for queue in missing:
                for lane in lanes_of(queue):
                    await self.ready(lane, underlay)
                self._declared.add(queue)
                self._known.add(queue)

    def forget(self, queues: Collection[str]) -> None:
        """Declare these queues again before they are used: somebody has deleted them."""
        self._declared.difference_update(queues)

    async def ready(self, lane: Lane, channel: Channel) -> int:
        """Declare a lane and answer how many of its messages have been sent to nobody yet.

        The answer comes after every message that was delivered to this channel before it.
        """
        answer = await channel.queue_declare(self.name(lane), durable=True, arguments=_CLASSIC)
        return answer.message_count or 0
