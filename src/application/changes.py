"""What a transaction changed that others must hear of once it is committed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cueline.application.dispatch import Outlet
from cueline.application.ports.events import EventBus
from cueline.domain.events import Event
from cueline.domain.task import Task


@dataclass(slots=True)
class Changes:
    """Gathered inside a transaction: tasks that became ready, and the events to spread."""

    ready: list[Task] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Announcer:
    """Tells the broker and the watchers what has been committed. Both are hints, not facts."""

    def __init__(self, outlet: Outlet, bus: EventBus) -> None:
        self._outlet = outlet
        self._bus = bus

    async def prepare(self, queues: Collection[str]) -> None:
        """Learn how much room these queues have at the broker, before the transaction begins."""
        await self._outlet.prepare(queues)

    def reserve(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks as they are to be stored, room at the broker reserved while there is any."""
        return self._outlet.reserve(tasks)

    async def announce(self, changes: Changes) -> None:
        """Publish what became ready, then spread the events. Call it after the commit."""
        if changes.ready:
            await self._outlet.publish(changes.ready)
        if changes.events:
            await self._bus.publish(changes.events)
