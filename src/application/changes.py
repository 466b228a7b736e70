"""What a transaction changed that others must hear of once it is committed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cueline.application.dispatch import Outlet
from cueline.application.ports.events import EventBus
from cueline.application.ports.runtime import Clock
from cueline.domain.events import Event, task_changed
from cueline.domain.task import Task
from cueline.domain.workflow.run import Run


@dataclass(slots=True, kw_only=True)
class Changes:
    """Gathered inside a transaction.

    `ready` are tasks that a worker may take now; `claimed`, new ones that a worker has taken along;
    `moved`, tasks that came to another state; `runs`, as they were left; `facts`, what else there
    is to tell.
    """

    ready: list[Task] = field(default_factory=list)
    claimed: list[Task] = field(default_factory=list)
    moved: list[Task] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    facts: list[Event] = field(default_factory=list)


class Announcer:
    """Tells the broker and the watchers what has been committed. Both are hints, not facts."""

    def __init__(self, outlet: Outlet, bus: EventBus, clock: Clock) -> None:
        self._outlet = outlet
        self._bus = bus
        self._clock = clock

    async def prepare(self, queues: Collection[str] = ()) -> None:
        """Learn how much room there is at the broker, before the transaction begins.

        In these queues, and in those that were wanted of late: whoever cannot say yet which tasks
        will follow names none.
        """
        await self._outlet.prepare(queues)

    def reserve(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks as they are to be stored, room at the broker reserved while there is any."""
        return self._outlet.reserve(tasks)

    async def announce(self, changes: Changes) -> None:
        """Publish what became ready, then tell the watchers, if any. Call it after the commit."""
        if changes.ready:
            await self._outlet.publish(changes.ready)
        if self._bus.is_watched and (changes.moved or changes.facts):
            now = self._clock.now()
            moved = [task_changed(task, now) for task in changes.moved]
            await self._bus.publish(moved + changes.facts)
