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

HEARD_SHARE = 8
"""An eighth of what is taken in a backlog comes from the broker: every message costs all of us.

It is an eighth of each claim until the store has given all that was asked of it; from then on,
every eighth claim: what comes from one place takes one statement.
"""

UNHEARD_FOR = 0.05
"""How long the broker is left alone at most during a backlog, in seconds: what is urgent may have
come there."""

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
    but it turns to the broker now and then, so that neither what that holds nor what waits in the
    store grows old. A worker goes back to the broker by itself.
    """

    def __init__(self, broker: BrokerLink, due: DueTasks, outlet: Outlet, clock: Clock) -> None:
        self._broker = broker
        self._due = due
        self._outlet = outlet
        self._clock = clock
        self._ample = False  # the last round brought so much that there is likely to be more
        self._filled = False  # the store gave all that it was asked for, the last time
        self._heard_at = float("-inf")
        self._unheard = 0  # claims since then
        self._there_is_more = True  # at the broker than was heard
        self._urgency = Priority.LOW  # that of the rest is this or a higher one
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
                return await self._hear(worker, limit, left)
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
        """Some of the broker's and some of the store's; a single task in the broker's order."""
        is_recent = asyncio.get_running_loop().time() - self._heard_at < UNHEARD_FOR
        may_wait = is_recent and self._unheard < HEARD_SHARE - 1
        if self._filled and may_wait and (limit > 1 or not self._there_is_more):
            self._unheard += 1
            return Hints(limit, from_store=limit, urgency=self._urgency)
        share = limit if self._filled else max(1, limit // HEARD_SHARE)
        heard = await self._hear(worker, share, 0.0)
        left = limit - len(heard.deliveries)
        return replace(heard, wanted=limit, from_store=left, urgency=self._urgency)

    async def _hear(self, worker: Worker, limit: int, wait: float) -> Hints:
        deliveries = await self._broker.receive(worker.queues, limit, wait)
        self._heard_at, self._unheard = asyncio.get_running_loop().time(), 0
        self._there_is_more = len(deliveries) == limit
        urgencies = (each.message.priority for each in deliveries if self._there_is_more)
        self._urgency = max(urgencies, default=Priority.LOW)
        return Hints.of(limit, deliveries)

    def note(self, hints: Hints, claimed: Sequence[Task]) -> None:
        """Note what a worker claimed upon these hints."""
        unheard_of = [task for task in claimed if task.id not in hints.tasks]
        self._ample = bool(claimed) and len(claimed) * AMPLE_SHARE >= hints.wanted
        self._in_vain = hints.from_store > 0 and not claimed
        if hints.from_store:
            self._filled = len(unheard_of) == hints.from_store
        if self._ample:
            self._outlet.relieve({task.spec.queue for task in unheard_of})

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
