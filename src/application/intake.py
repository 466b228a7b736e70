"""The intake: where a worker hears of tasks. From the broker, or without it from the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cueline.application.dispatch import Outlet
from cueline.application.due import DueTasks
from cueline.application.link import BrokerLink
from cueline.application.ports.broker import Delivery
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.worker import Worker

log = logging.getLogger(__name__)

SHORTEST_NAP = 0.1
"""How long a worker rests at first when it finds nothing due in the store, in seconds."""

LONGEST_NAP = 1.0
"""How long it rests at most: other processes submit too, and their bell is not heard here."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Tasks that may be ready, and the deliveries that said so.

    What was taken from the store came without a delivery: there is nothing to acknowledge.
    """

    tasks: frozenset[TaskId] = frozenset()
    deliveries: tuple[Delivery, ...] = ()

    @classmethod
    def of(cls, deliveries: Sequence[Delivery]) -> Self:
        """What these deliveries hint at."""
        return cls(frozenset(each.message.task_id for each in deliveries), tuple(deliveries))


class Intake:
    """Hears of tasks for a worker, by way of the broker while it answers.

    While it does not, workers take from the store what is due, as the dispatcher would. The broker
    comes first again in every round, so that a worker goes back to it by itself.
    """

    def __init__(
        self, broker: BrokerLink, due: DueTasks, outlet: Outlet, clock: Clock, metrics: Metrics
    ) -> None:
        self._broker = broker
        self._due = due
        self._outlet = outlet
        self._clock = clock
        self._metrics = metrics
        self._turn = 0

    async def receive(self, worker: Worker, limit: int, wait: float) -> Hints:
        """Up to `limit` hints, waiting up to `wait` seconds for the first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        nap = SHORTEST_NAP
        while True:
            left = max(0.0, deadline - loop.time())
            try:
                return Hints.of(await self._broker.receive(worker.queues, limit, left))
            except Unavailable:
                queues, next_due = await self._due.look()
            if taken := await self._take(worker, queues, limit):
                return taken
            if (left := deadline - loop.time()) <= 0:
                return Hints()
            await self._outlet.stranded.wait(min(nap, left, self._until(next_due)))
            nap = min(2 * nap, LONGEST_NAP)

    async def acknowledge(self, hints: Hints) -> None:
        """Take the messages behind these hints off the broker."""
        if not hints.deliveries:
            return
        try:
            await self._broker.acknowledge(hints.deliveries)
        except Unavailable as error:  # they will come again, and lead to no claim
            log.info("%d messages not acknowledged: %s", len(hints.deliveries), error)
        self._outlet.make_room(delivery.message for delivery in hints.deliveries)

    async def _take(self, worker: Worker, queues: Collection[str], limit: int) -> Hints | None:
        """Take from the store, beginning with another queue each time, lest one starve."""
        served = [queue for queue in worker.queues if queue in queues]
        if not served:
            return None
        first = self._turn % len(served)
        self._turn += 1
        taken = await self._due.take(dict.fromkeys(served[first:] + served[:first], limit), limit)
        if not taken:  # others were faster
            return None
        self._metrics.taken_from_store(len(taken))
        return Hints(frozenset(task.id for task in taken))

    def _until(self, moment: datetime | None) -> float:
        """How many seconds it takes until something falls due."""
        if moment is None:
            return LONGEST_NAP
        return max(0.0, (moment - self._clock.now()).total_seconds())
