"""Dispatch: handing hints about ready tasks to the broker, no more than the workers will soon take.

The broker holds a *window*, not the backlog. What does not fit waits in the store, in the order in
which it will be wanted, where it can still be reordered, paused and cancelled.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

from cueline.application.bell import Bell
from cueline.application.due import DueTasks
from cueline.application.link import BrokerLink
from cueline.application.ports.broker import Message
from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import DueTask
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.queue import Queue
from cueline.domain.task import Priority, Task, TaskState

log = logging.getLogger(__name__)

T = TypeVar("T")

Place: TypeAlias = tuple[str, Priority]
"""Where a message waits in the broker: in which queue, and how urgent it is."""

FRESH = timedelta(seconds=1)
"""How long the window's view of the workers and the broker is trusted for a submit."""

BRIEF = timedelta(seconds=0.05)
"""How long it is trusted once less than half of the window seems to be left."""

STEADY = timedelta(seconds=0.25)
"""How long the view of the workers and of what is paused is trusted in any case: they change
seldom, and a claim looks for itself."""


RELIEF = timedelta(seconds=0.1)
"""How often a queue is dispatched whose backlog workers of this process take by themselves."""

PASSES_BETWEEN_LOOKS = 10
"""How many passes the dispatcher makes through a backlog before it looks for other queues."""


class Window:
    """How many more messages each queue may be given: none while the broker does not answer.

    Between two looks at the real figures it keeps count of what this process publishes and takes
    off. An error only costs time: too much room makes a few early hints, too little leaves the task
    to the dispatcher.
    """

    def __init__(self, store: Store, broker: BrokerLink, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._held: dict[str, list[int]] = {}  # messages by priority; unknown means no room
        self._queues: dict[str, Queue] = {}
        self._slots: Mapping[str, int] = {}
        self._looked_at: dict[str, datetime] = {}
        self._known_at: datetime | None = None  # the workers, and what is paused
        self._wanted: dict[str, None] = {}  # of which room was taken, or would have been

    def forget(self) -> None:
        """Look again before the next use: workers came or went, or a queue was paused."""
        self._looked_at.clear()
        self._known_at = None

    async def look(self, queues: Collection[str]) -> None:
        """Read the real figures of these queues."""
        try:
            depths = {name: await self._broker.depths(name) for name in queues}
        except Unavailable:  # the link has said so
            self.close(queues)
            return
        now = self._clock.now()
        if not _is_recent(self._known_at, now, STEADY):
            await self._look_around(now)
        for name, depth in depths.items():
            self._held[name] = [depth.get(priority, 0) for priority in Priority]
            self._looked_at[name] = now

    async def _look_around(self, now: datetime) -> None:
        """Learn which workers there are and what is paused."""
        async with self._store.read() as uow:
            settings = await uow.queues.list_all()
            workers = await uow.workers.live()
        self._queues = {queue.name: queue for queue in settings}
        slots: Counter[str] = Counter()
        for worker in workers:
            if not worker.has_lapsed(now):
                slots.update(dict.fromkeys(worker.queues, worker.slots))
        self._slots = slots
        self._known_at = now

    async def refresh(self, queues: Collection[str]) -> None:
        """Look at those of these queues whose figures are too old to be trusted.

        And at those of which room was wanted since: more of the same is likely to follow.
        """
        now = self._clock.now()
        wanted, self._wanted = self._wanted, {}
        stale = [
            name
            for name in {**dict.fromkeys(queues), **wanted}
            if not _is_recent(
                self._looked_at.get(name), now, BRIEF if self._is_tight(name) else FRESH
            )
        ]
        if stale:
            await self.look(stale)

    def _is_tight(self, queue: str) -> bool:
        """Whether less than half of the window is left: who does not see what is taken looks soon.

        Else one that only submits, more than a window in `FRESH`, would leave the rest behind.
        """
        window = self._queue(queue).window(self._slots.get(queue, 0))
        return 0 < window < 2 * sum(self._held.get(queue, ()))

    def close(self, queues: Collection[str]) -> None:
        """Have no room for these queues until the figures are looked for again."""
        now = self._clock.now()
        for name in queues:
            self._held.pop(name, None)
            self._looked_at[name] = now

    def room(self, queue: str, priority: Priority) -> int:
        """How many more messages of a queue and priority there is room for."""
        if (held := self._held.get(queue)) is None:
            return 0
        return self._queue(queue).room(self._slots.get(queue, 0), held, priority)

    def take(self, queue: str, priority: Priority, count: int) -> int:
        """Reserve room for up to so many messages by the figures at hand; for how many there is."""
        self._wanted[queue] = None
        if taken := min(count, self.room(queue, priority)):
            self._held[queue][priority] += taken
        return taken

    def admit(self, waiting: Sequence[T], place: Callable[[T], Place]) -> Iterator[T]:
        """Reserve room for what waits, the more urgent first; those for which there is some.

        They come in the order given, and of one queue and priority the first.
        """
        counts = Counter(map(place, waiting))
        room = {
            (queue, priority): self.take(queue, priority, count)
            for (queue, priority), count in sorted(counts.items(), key=lambda item: item[0][1])
        }
        if not any(room.values()):  # as in a backlog
            return
        for each in waiting:
            where = place(each)
            if room[where]:
                room[where] -= 1
                yield each

    def give_back(self, messages: Iterable[Message]) -> None:
        """Note messages that were taken off the broker."""
        for message in messages:
            if (held := self._held.get(message.queue)) and held[message.priority]:
                held[message.priority] -= 1

    def _queue(self, name: str) -> Queue:
        return self._queues.get(name) or Queue(name)


def _is_recent(moment: datetime | None, now: datetime, age: timedelta) -> bool:
    """Whether it is not yet so old, nor ahead: a clock may have been set back."""
    return moment is not None and timedelta(0) <= now - moment < age


class Outlet:
    """Publishes tasks right after the transaction that made them ready, as far as there is room."""

    def __init__(self, store: Store, broker: BrokerLink, window: Window, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._window = window
        self._clock = clock
        self.backlog = Bell()
        """Rings when the dispatcher has something to do."""
        self.stranded = Bell()
        """Rings when something ready is left in the store: for a worker without a broker."""
        self.behind = True
        """Whether tasks may be waiting for room: the dispatcher wants to hear of any."""
        self._relieved: dict[str, datetime] = {}

    async def prepare(self, queues: Collection[str] = ()) -> None:
        """Have recent figures for these queues, and for those that were wanted of late.

        Call it before a transaction, never within one.
        """
        try:
            await self._window.refresh(queues)
        except Unavailable as error:
            log.warning("it is not known for what there is room at the broker: %s", error)
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
        if not self._broker.answers():
            return list(tasks)
        now = self._clock.now()
        ready = [task for task in tasks if task.is_ready(now)]
        admitted = self._window.admit(ready, lambda task: (task.spec.queue, task.spec.priority))
        handed = {task.id: task.handed_to_broker(now) for task in admitted}
        return [handed.get(task.id, task) for task in tasks] if handed else list(tasks)

    async def publish(self, tasks: Sequence[Task]) -> None:
        """Publish the reserved ones of tasks now committed; wake the dispatcher for the rest."""
        reserved = [
            task for task in tasks if task.state is TaskState.QUEUED and task.dispatches > 0
        ]
        if len(reserved) < len(tasks):
            self._leave_behind()
        if reserved:
            await self.send(
                [Message(task.id, task.spec.queue, task.spec.priority) for task in reserved]
            )

    def make_room(self, messages: Collection[Message]) -> None:
        """Note messages that were taken off the broker."""
        self._window.give_back(messages)
        if self.behind and not all(self.is_relieved(message.queue) for message in messages):
            self.backlog.ring()

    def relieve(self, queues: Collection[str]) -> None:
        """Note that workers of this process take what is due in these queues by themselves."""
        if not all(self.is_relieved(queue) for queue in queues):
            self.backlog.ring()  # the dispatcher may be in a long rest, and now rests a short one
        self._relieved.update(dict.fromkeys(queues, self._clock.now()))

    def is_relieved(self, queue: str) -> bool:
        """Whether there is no hurry to dispatch a queue: workers here have just helped."""
        return _is_recent(self._relieved.get(queue), self._clock.now(), RELIEF)

    async def send(self, messages: Sequence[Message]) -> bool:
        """Publish. Whether it went out; if it did not, the tasks are due in the store again.

        They are stored already, so no error whatever of the broker's may fail who asked for them.
        """
        try:
            await self._broker.publish(messages)
        except Unavailable as error:
            log.info("%d messages not published, their tasks are due: %s", len(messages), error)
        except Exception:
            log.exception("%d messages not published, their tasks are due", len(messages))
        else:
            return True
        self._window.close({message.queue for message in messages})
        await self._make_due([message.task_id for message in messages])
        self._leave_behind()
        return False

    def _leave_behind(self) -> None:
        self.behind = True
        self.backlog.ring()
        self.stranded.ring()

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

    `waiting` says that tasks were due; some may still be, for want of room. `relieved` says that
    workers here are taking them by themselves, so that the others alone have to be seen to. The
    next time is None if there is none, and if nobody looked: after a pass that moved something
    there will be another one at once, and while it is dear to ask, one after a rest.
    """

    count: int
    next_due: datetime | None
    waiting: bool = False
    relieved: bool = False


class DispatchTasks:
    """Hands the tasks that are due to the broker, queue by queue, as far as the window has room."""

    def __init__(
        self, broker: BrokerLink, due: DueTasks, window: Window, outlet: Outlet, clock: Clock
    ) -> None:
        self._broker = broker
        self._due = due
        self._window = window
        self._outlet = outlet
        self._clock = clock
        self._visited: dict[str, datetime] = {}
        self._going_on: frozenset[str] = frozenset()  # queues that gave something the last time
        self._passes = 0  # since all queues were looked at

    async def __call__(self) -> Dispatched:
        """Make one pass; none while the broker is away, as the workers then help themselves."""
        if not self._broker.answers():
            return Dispatched(0, None)
        queues = await self._queues()
        self._outlet.behind = bool(queues)
        if not queues:
            return Dispatched(0, await self._due.next())
        pressing = self._pressing(queues)
        relieved = frozenset(queues).difference(pressing)
        self._going_on = frozenset()
        if pressing:
            await self._window.look(pressing)
            if messages := await self._take(pressing):
                self._going_on = relieved.union(message.queue for message in messages)
                if await self._outlet.send(messages):
                    return Dispatched(len(messages), None, waiting=True, relieved=bool(relieved))
        return Dispatched(0, await self._due.next(), waiting=True, relieved=bool(relieved))

    def _pressing(self, queues: Collection[str]) -> list[str]:
        """The queues that cannot wait: no worker here helps itself, or long enough it alone has."""
        now = self._clock.now()
        pressing = [
            queue
            for queue in queues
            if not self._outlet.is_relieved(queue)
            or not _is_recent(self._visited.get(queue), now, RELIEF)
        ]
        self._visited.update(dict.fromkeys(pressing, now))
        return pressing

    async def _queues(self) -> Collection[str]:
        """In which queues something is due; where something was, there is likely to be more.

        To see that nothing is due costs most where a backlog was just taken from: a look over all
        queues reads the places of what has gone, and is not made on every pass.
        """
        self._passes += 1
        if self._going_on and self._passes < PASSES_BETWEEN_LOOKS:
            return self._going_on
        self._passes = 0
        return await self._due.queues()

    async def _take(self, queues: Collection[str]) -> list[Message]:
        """Take what there is room for. A crash before it is sent costs a recovery delay."""
        most = {
            name: room
            for name in sorted(queues)
            if (room := self._window.room(name, Priority.CRITICAL))  # others have no more
        }
        if not most:
            return []
        taken = await self._due.take(most, admit=self._admitted)
        return [Message(due.id, due.queue, due.priority) for due in taken]

    def _admitted(self, due: Sequence[DueTask]) -> list[DueTask]:
        return list(self._window.admit(due, lambda each: (each.queue, each.priority)))
