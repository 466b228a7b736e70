"""The intake: where a worker hears of tasks, and when it may take some of which it did not hear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cueline.application.backlog import Backlog
from cueline.application.dispatch import Outlet
from cueline.application.due import DueTasks
from cueline.application.hints import Hints
from cueline.application.link import BrokerLink
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.task import Task
from cueline.domain.worker import Worker

log = logging.getLogger(__name__)

SHORTEST_NAP = 0.1
"""How long a worker rests at first when it finds nothing due in the store, in seconds."""

LONGEST_NAP = 1.0
"""How long it rests at most: other processes submit too, and their bell is not heard here."""


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
        self._backlog = Backlog()
        self._in_vain = False  # it looked into the store, and got nothing

    async def receive(self, worker: Worker, limit: int, wait: float) -> Hints:
        """Up to `limit` hints, waiting up to `wait` seconds for the first.

        In a backlog it does not wait: the worker is to take what the broker does not have from the
        store. What came of the hints is to be said by `note`.
        """
        if self._backlog.is_there:
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
        """What the broker has and what is in the store, as the backlog divides it."""
        now = asyncio.get_running_loop().time()
        heard = Hints(limit)
        if to_hear := self._backlog.to_hear(limit, now):
            try:
                heard = await self._hear(worker, to_hear, 0.0)
            except Unavailable:
                self._backlog.note_heard(to_hear, (), now)
        left = max(0, limit - len(heard.deliveries))
        return replace(heard, wanted=limit, from_store=left, urgency=self._backlog.urgency)

    async def _hear(self, worker: Worker, limit: int, wait: float) -> Hints:
        deliveries = await self._broker.receive(worker.queues, limit, wait)
        self._backlog.note_heard(limit, deliveries, asyncio.get_running_loop().time())
        return Hints.of(limit, deliveries)

    def note(self, hints: Hints, claimed: Sequence[Task]) -> None:
        """Note what a worker claimed upon these hints."""
        self._in_vain = hints.from_store > 0 and not claimed
        self._backlog.note_claimed(hints, claimed)
        if self._backlog.is_there:
            self._outlet.relieve({task.spec.queue for task in hints.unheard_of(claimed)})

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
