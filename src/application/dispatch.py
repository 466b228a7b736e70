"""Dispatch: handing hints about ready tasks to the broker, no more than the workers will soon take.

The broker holds a *window*, not the backlog. What does not fit waits in the store, in the order in
which it will be wanted, where it can still be reordered, paused and cancelled.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cueline.application.bell import Bell
from cueline.application.ports.broker import Broker, Message
from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.queue import Queue
from cueline.domain.task import Task, TaskState, recovery_delay

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=1)
"""How long the window's view of the workers and the broker is trusted for a submit."""


class Window:
    """How many more messages each queue may be given.

    Between two looks at the real figures it keeps count of what this process publishes and takes
    off. An error only costs time: too much room makes a few early hints, too little leaves the task
    to the dispatcher.
    """

    def __init__(self, store: Store, broker: Broker, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._room: dict[str, int] = {}
        self._queues: dict[str, Queue] = {}
        self._slots: Mapping[str, int] = {}
        self._looked_at: dict[str, datetime] = {}

    def forget(self) -> None:
        """Look again before the next use: workers came or went, or a queue was paused."""
        self._looked_at.clear()

    async def look(self, queues: Collection[str]) -> None:
        """Read the real figures of these queues."""
        now = self._clock.now()
        async with self._store.read() as uow:
            settings = await uow.queues.list_all()
            workers = await uow.workers.live()
        self._queues = {queue.name: queue for queue in settings}
        slots: Counter[str] = Counter()
        for worker in workers:
            if not worker.has_lapsed(now):
                slots.update(dict.fromkeys(worker.queues, worker.slots))
        self._slots = slots
        for name in queues:
            depth = await self._broker.depth(name)
            self._room[name] = self._queue(name).room(slots[name], depth)
            self._looked_at[name] = now

    async def refresh(self, queues: Collection[str]) -> None:
        """Look at those of these queues whose figures are too old to be trusted."""
        now = self._clock.now()
        stale = [
            name
            for name in queues
            if name not in self._looked_at or now - self._looked_at[name] >= FRESH
        ]
        if stale:
            await self.look(stale)

    def close(self, queues: Collection[str]) -> None:
        """Have no room for these queues until the figures are looked for again."""
        now = self._clock.now()
        for name in queues:
            self._room[name] = 0
            self._looked_at[name] = now

    def take(self, queue: str, wanted: int) -> int:
        """Reserve room by the figures at hand; what is granted may be less than what is wanted."""
        granted = min(wanted, self._room.get(queue, 0))
        self._room[queue] = self._room.get(queue, 0) - granted
        return granted

    def put_back(self, queue: str, count: int) -> None:
        """Return room that was reserved and turned out not to be needed."""
        self._room[queue] = self._room.get(queue, 0) + count

    def give_back(self, queues: Iterable[str]) -> None:
        """Note messages of these queues that were taken off the broker."""
        for name in queues:
            limit = self._queue(name).window(self._slots.get(name, 0))
            self._room[name] = min(self._room.get(name, 0) + 1, limit)

    def _queue(self, name: str) -> Queue:
        return self._queues.get(name) or Queue(name)


class Outlet:
    """Publishes tasks right after the transaction that made them ready, as far as there is room."""

    def __init__(self, store: Store, broker: Broker, window: Window, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._window = window
        self._clock = clock
        self.backlog = Bell()
        """Rings when the dispatcher has something to do."""
        self.behind = True
        """Whether tasks may be waiting for room: the dispatcher wants to hear of any."""

    async def prepare(self, queues: Collection[str]) -> None:
        """Have recent figures for these queues. Call it before a transaction, never within one."""
        try:
            await self._window.refresh(queues)
        except Unavailable as error:
            log.warning("room at the broker is not known, tasks wait in the store: %s", error)
            self._window.close(queues)

    async def look(self, queues: Collection[str]) -> None:
        """Have the present figures for these queues: workers came or went."""
        self._window.forget()
        await self.prepare(queues)

    def reserve(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks, in their order, as they are to be stored: what will be published is so noted.

        It goes by the figures at hand and does no I/O, so that it may be called in a transaction;
        `publish` follows after the commit.
        """
        now = self._clock.now()
        ready = sorted(
            (task for task in tasks if task.is_ready(now)), key=lambda task: task.spec.priority
        )
        handed = {
            task.id: task.handed_to_broker(now)
            for task in ready
            if self._window.take(task.spec.queue, 1)
        }
        return [handed.get(task.id, task) for task in tasks] if handed else list(tasks)

    async def publish(self, tasks: Sequence[Task]) -> None:
        """Publish the reserved ones of tasks now committed; wake the dispatcher for the rest."""
        reserved = [
            task for task in tasks if task.state is TaskState.QUEUED and task.dispatches > 0
        ]
        if len(reserved) < len(tasks):
            self.behind = True
            self.backlog.ring()
        if reserved:
            await self.send(
                [Message(task.id, task.spec.queue, task.spec.priority) for task in reserved]
            )

    def make_room(self, queues: Iterable[str]) -> None:
        """Note messages of these queues that were taken off the broker."""
        self._window.give_back(queues)
        if self.behind:
            self.backlog.ring()

    async def send(self, messages: Sequence[Message]) -> bool:
        """Publish; when the broker refuses, have the dispatcher try again. Whether it went out."""
        try:
            await self._broker.publish(messages)
        except Unavailable as error:
            log.warning(
                "%d messages not published, will be dispatched later: %s", len(messages), error
            )
            self._window.close({message.queue for message in messages})
            await self._make_due([message.task_id for message in messages])
            return False
        return True

    async def _make_due(self, ids: Sequence[TaskId]) -> None:
        try:
            async with self._store.write(durable=False) as uow:
                await uow.tasks.set_due(ids, self._clock.now())
                await uow.commit()
        except Unavailable as error:
            log.warning("%d tasks wait for their recovery instead: %s", len(ids), error)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What one pass of the dispatcher did, and when the next one has something to do.

    `waiting` says that tasks were due; some may still be, for want of room.
    """

    count: int
    next_due: datetime | None
    waiting: bool = False


class DispatchTasks:
    """Hands the tasks that are due to the broker, queue by queue, as far as the window has room."""

    def __init__(self, store: Store, broker: Broker, window: Window, outlet: Outlet, clock: Clock):
        self._store = store
        self._broker = broker
        self._window = window
        self._outlet = outlet
        self._clock = clock

    async def __call__(self) -> Dispatched:
        """Make one pass."""
        now = self._clock.now()
        async with self._store.read() as uow:
            queues = sorted(await uow.tasks.due_queues(now))
            next_due = await uow.tasks.next_due(now)
        self._outlet.behind = bool(queues)
        if not queues:
            return Dispatched(0, next_due)
        await self._window.look(queues)
        messages = await self._take_due(queues, now)
        if messages:
            await self._outlet.send(messages)
        return Dispatched(len(messages), next_due, waiting=True)

    async def _take_due(self, queues: Collection[str], now: datetime) -> list[Message]:
        """Note what will be published, in one transaction. A crash then costs a recovery delay."""
        room = {name: self._window.take(name, 2**31) for name in queues}
        open_queues = {name: count for name, count in room.items() if count > 0}
        if not open_queues:
            return []
        messages: list[Message] = []
        handed: dict[TaskId, datetime] = {}
        async with self._store.write(durable=False) as uow:
            for name, count in open_queues.items():
                found = await uow.tasks.due(name, now, count)
                self._window.put_back(name, count - len(found))
                for due in found:
                    messages.append(Message(due.id, due.queue, due.priority))
                    handed[due.id] = now + recovery_delay(due.dispatches)
            await uow.tasks.set_dispatched(handed)
            await uow.commit()
        return messages
