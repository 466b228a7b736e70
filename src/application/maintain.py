"""Maintenance: what must happen although nobody asks for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from cueline.application.outcomes import Failed
from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock
from cueline.application.settle import SettleTasks
from cueline.domain.errors import Unavailable
from cueline.domain.failure import Failure
from cueline.domain.task import Task

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
                recovered += await self._settle_all(orphans)
            if len(orphans) < BATCH or recovered == 0:
                return recovered

    async def _settle_all(self, orphans: Sequence[Task]) -> int:
        outcomes = [Failed(task, Failure.worker_lost(str(task.worker_id))) for task in orphans]
        try:
            return len((await self._settle(outcomes)).accepted)
        except Unavailable:
            raise
        except Exception:
            log.exception("%d lost tasks could not be settled together", len(outcomes))
        count = 0
        for outcome in outcomes:  # one that cannot be settled must not keep the others
            try:
                count += len((await self._settle([outcome])).accepted)
            except Unavailable:
                raise
            except Exception:
                log.exception("lost task %s could not be settled", outcome.task.id)
        return count
