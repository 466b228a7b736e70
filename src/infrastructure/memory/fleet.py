"""The queues and the workers that serve them, in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice

from cueline.application.ports.persistence import QueueRepository, WorkerRepository
from cueline.domain.identifiers import WorkerId
from cueline.domain.queue import Queue
from cueline.domain.worker import Worker, WorkerState
from cueline.infrastructure.memory.tables import Access


class MemoryQueues(QueueRepository):
    """The queues that have been given settings."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list_all(self) -> list[Queue]:
        return sorted(self._access.look().queues.rows(), key=lambda queue: queue.name)

    async def save(self, queue: Queue) -> None:
        self._access.change().queues.put(queue.name, queue)


class MemoryWorkers(WorkerRepository):
    """The workers and their leases."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, worker: Worker) -> None:
        rows = self._access.change().workers
        if rows.get(worker.id) is not None:
            raise RuntimeError(f"there is a worker {worker.id} already")
        rows.put(worker.id, worker)

    async def get(self, id: WorkerId) -> Worker | None:
        return self._access.look().workers.get(id)

    async def save(self, worker: Worker, expected_lease: datetime) -> bool:
        rows = self._access.change().workers
        held = rows.get(worker.id)
        if held is None or held.state is not WorkerState.LIVE or held.lease_until != expected_lease:
            return False
        rows.put(worker.id, replace(held, state=worker.state, lease_until=worker.lease_until))
        return True

    async def live(self) -> list[Worker]:
        rows = self._access.look().workers.rows()
        return [worker for worker in rows if worker.state is WorkerState.LIVE]

    async def search(self, limit: int) -> list[Worker]:
        rows = sorted(self._access.look().workers.rows(), key=_recency, reverse=True)
        return list(islice(rows, limit))


def _recency(worker: Worker) -> tuple[bool, datetime, str]:
    return worker.state is WorkerState.LIVE, worker.started_at, worker.id
