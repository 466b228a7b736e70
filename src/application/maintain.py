"""Maintenance: what must happen although nobody asks for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from cueline.application.outcomes import Failed
from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock
from cueline.application.settle import SettleTasks
from cueline.domain.failure import Failure

log = logging.getLogger(__name__)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one pass found: workers evicted, and tasks taken from workers that are gone."""

    evicted: int
    recovered: int


class Maintain:
    """Evicts workers whose lease has lapsed and settles the tasks of workers that are not live.

    The tasks are found by their worker's state, not by this eviction: should a claim slip in beside
    an eviction, or the process die between the two, the next pass finds what was left.
    """

    def __init__(self, store: Store, settle: SettleTasks, clock: Clock) -> None:
        self._store = store
        self._settle = settle
        self._clock = clock

    async def __call__(self) -> Maintained:
        """Make one pass. Any number of processes may do so at once."""
        return Maintained(await self._evict(), await self._recover())

    async def _evict(self) -> int:
        now = self._clock.now()
        async with self._store.read() as uow:
            lapsed = [worker for worker in await uow.workers.live() if worker.has_lapsed(now)]
        if not lapsed:
            return 0
        evicted = 0
        async with self._store.write() as uow:
            for worker in lapsed:
                if await uow.workers.save(worker.evict(now), worker.lease_until):
                    evicted += 1
                    log.warning("worker %s (%s) was lost: its lease lapsed", worker.name, worker.id)
            await uow.commit()
        return evicted

    async def _recover(self) -> int:
        recovered = 0
        while True:
            async with self._store.read() as uow:
                orphans = await uow.tasks.orphans(BATCH)
            if orphans:
                settled = await self._settle(
                    [Failed(task, Failure.worker_lost(str(task.worker_id))) for task in orphans]
                )
                recovered += len(settled.accepted)
            if len(orphans) < BATCH:
                return recovered
