"""Steering queues."""

from __future__ import annotations

from cueline.application.dispatch import Outlet
from cueline.application.ports.persistence import Store
from cueline.domain.identifiers import require_name
from cueline.domain.queue import Queue


class SteerQueues:
    """What an operator does to a queue."""

    def __init__(self, store: Store, outlet: Outlet) -> None:
        self._store = store
        self._outlet = outlet

    async def pause(self, name: str) -> Queue:
        """Start nothing more from a queue; what is running goes on."""
        return await self._set(name, paused=True)

    async def resume(self, name: str) -> Queue:
        """Let a queue's tasks start again."""
        return await self._set(name, paused=False)

    async def _set(self, name: str, *, paused: bool) -> Queue:
        require_name(name, "queue")
        async with self._store.write() as uow:
            known = {queue.name: queue for queue in await uow.queues.list_all()}
            before = known.get(name) or Queue(name)
            queue = before.pause() if paused else before.resume()
            await uow.queues.save(queue)
            await uow.commit()
        await self._outlet.look([name])
        self._outlet.backlog.ring()
        return queue
