"""The intake: where a worker hears of tasks, and when it may take some of which it did not hear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from cueline.application.dispatch import Outlet
from cueline.application.due import DueTasks
from cueline.application.link import BrokerLink
from cueline.application.ports.broker import Delivery
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task
from cueline.domain.worker import Worker

log = logging.getLogger(__name__)

SHORTEST_NAP = 0.1
"""How long a worker rests at first when it finds nothing due in the store, in seconds."""

LONGEST_NAP = 1.0
"""How long it rests at most: other processes submit too, and their bell is not heard here."""

EMPTY_FOR = 0.01
"""How long a broker that was found empty is left alone during a backlog, in seconds."""

HEARD_SHARE = 4
"""A quarter of what is taken in a backlog comes from the broker: every message costs all of us."""

AMPLE_SHARE = 4
"""A quarter of what was asked for is so much that there is likely to be more."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Tasks that may be ready, the deliveries that said so, and how many may be taken unheard of.

    `wanted` is how many the worker asked for. What is taken from the store comes without a
    delivery: there is nothing to acknowledge. It has to be at least as urgent as `urgency`, as more
    of that may be at the broker.
    """

    wanted: int
    tasks: frozenset[TaskId] = frozenset()
    deliveries: tuple[Delivery, ...] = ()
    from_store: int = 0
    urgency: Priority = Priority.LOW

    @property
    def lead_nowhere(self) -> bool:
        """Whether there is nothing to claim."""
        return not (self.tasks or self.from_store)

    @classmethod
    def of(cls, wanted: int, deliveries: Sequence[Delivery]) -> Self:
        """What these deliveries hint at."""
        tasks = frozenset(each.message.task_id for each in deliveries)
        return cls(wanted, tasks, tuple(deliveries))


class Intake:
    """Hears of tasks for a worker, by way of the broker while it answers.

    A worker takes from the store what is due while the broker does not answer. In a backlog, too,
    as the way through the dispatcher and the broker costs an update and a message for each task;
    but a part still comes from the broker, if there is so much, so that neither what that holds nor
    what waits in the store grows old. A worker goes back to the broker by itself.
    """

    def __init__(self, broker: BrokerLink, due: DueTasks, outlet: Outlet, clock: Clock) -> None:
        self._broker = broker
        self._due = due
        self._outlet = outlet
        self._clock = clock
        self._ample = False  # the last round brought so much that there is likely to be more
        self._empty_until = float("-inf")  # as far as is known, there are no messages
        self._in_vain = False  # it looked into the store, and got nothing

    async def receive(self, worker: Worker, limit: int, wait: float) -> Hints:
        """Up to `limit` hints, waiting up to `wait` seconds for the first.

        It does not wait when there was much the last time: then the worker is to look into the
        store. What came of the hints is to be said by `note`.
        """
        if self._ample:
            with suppress(Unavailable):
                return await self._share(worker, limit)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        nap = SHORTEST_NAP
        in_vain, self._in_vain = self._in_vain, False
        while True:
            left = max(0.0, deadline - loop.time())
            try:
                return Hints.of(limit, await self._broker.receive(worker.queues, limit, left))
            except Unavailable:
                queues, next_due = await self._due.look()
            if not in_vain and not queues.isdisjoint(worker.queues):
                return Hints(limit, from_store=limit)
            in_vain = False  # what is due there may be in another's hands, or for other workers
            if (left := deadline - loop.time()) <= 0:
                return Hints(limit)
            await self._outlet.stranded.wait(min(nap, left, self._until(next_due)))
            nap = min(2 * nap, LONGEST_NAP)

    async def _share(self, worker: Worker, limit: int) -> Hints:
        now = asyncio.get_running_loop().time()
        if now < self._empty_until:
            return Hints(limit, from_store=limit)
        share = max(1, limit // HEARD_SHARE)
        deliveries = await self._broker.receive(worker.queues, share, 0.0)
        heard = Hints.of(limit, deliveries)
        if len(deliveries) < share:  # there are no more
            self._empty_until = now + EMPTY_FOR
            return replace(heard, from_store=limit - len(deliveries))
        least = max(delivery.message.priority for delivery in deliveries)
        return replace(heard, from_store=limit - share, urgency=least)

    def note(self, hints: Hints, claimed: Sequence[Task]) -> None:
        """Note what a worker claimed upon these hints."""
        self._ample = bool(claimed) and len(claimed) * AMPLE_SHARE >= hints.wanted
        self._in_vain = hints.from_store > 0 and not claimed
        if self._ample:
            unheard_of = {task.spec.queue for task in claimed if task.id not in hints.tasks}
            self._outlet.relieve(unheard_of)

    async def acknowledge(self, hints: Hints) -> None:
        """Take the messages behind these hints off the broker."""
        if not hints.deliveries:
            return
        try:
            await self._broker.acknowledge(hints.deliveries)
        except Unavailable as error:  # they will come again, and lead to no claim
            log.info("%d messages not acknowledged: %s", len(hints.deliveries), error)
        self._outlet.make_room([delivery.message for delivery in hints.deliveries])

    def _until(self, moment: datetime | None) -> float:
        """How many seconds it takes until something falls due."""
        if moment is None:
            return LONGEST_NAP
        return max(0.0, (moment - self._clock.now()).total_seconds())
