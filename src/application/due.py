"""What is due: queued tasks whose turn to be handed out has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol, TypeAlias, TypeVar

from cueline.application.ports.persistence import (
    DueTask,
    Store,
    TaskRepository,
    UnitOfWork,
)
from cueline.application.ports.runtime import Clock
from cueline.application.rationing import Ration
from cueline.domain.task import Task, recovery_delay

GRACE = timedelta(seconds=2)
"""How long before a look a task may have fallen due that is committed only after it."""


class Dispatchable(Protocol):
    """What has a place in line: a `Task`, or what is told of one."""

    @property
    def dispatch_at(self) -> datetime | None:
        """When it is due to be handed out; None, if it is not queued."""
        ...


Found = TypeVar("Found", bound=Dispatchable)
Find: TypeAlias = Callable[[str, datetime, int, datetime | None], Awaitable[Sequence[Found]]]


def most_urgent(lines: Iterable[Sequence[DueTask]]) -> list[DueTask]:
    """What is due in several queues, by priority; within one they take turns, lest one starve."""
    placed = chain.from_iterable(enumerate(line) for line in lines)
    return [due for _, due in sorted(placed, key=lambda each: (each[1].priority, each[0]))]


async def put_off(
    tasks: TaskRepository, handed: Iterable[DueTask] | Iterable[Task], now: datetime
) -> None:
    """Have tasks be due again later, should what they were handed out for come to nothing."""
    await tasks.set_dispatched({due.id: now + recovery_delay(due.dispatches) for due in handed})


class Bookmarks:
    """Where a look at what is due in a queue begins: at the beginning, or where the last one did.

    In PostgreSQL what was taken keeps its place in the index until no open transaction can see it
    any more. While one is held open, a look from the beginning reads all that was taken since, and
    soon takes longer than the work. So one that was dear is not repeated at once: those that follow
    begin with the first that is known to be left. What falls due before that, as by a clock that is
    slow, is found by the next look from the beginning, after ten seconds at most.
    """

    def __init__(self) -> None:
        self._rations: dict[str, Ration] = {}
        self._since: dict[str, datetime] = {}

    async def look(
        self, find: Find[Found], queue: str, now: datetime, limit: int
    ) -> Sequence[Found]:
        """What `find` finds in a queue: `TaskRepository.due`, or its `claimable`."""
        ration = self._rations.setdefault(queue, Ration())
        since = self._since.get(queue)
        if since is not None and ration.is_resting:
            found = await find(queue, now, limit, since)
            nothing_before = since
        else:
            with ration.measured():
                found = await find(queue, now, limit, None)
            nothing_before = now - GRACE
        left = (task.dispatch_at for task in found if task.dispatch_at is not None)
        self._since[queue] = min(left, default=nothing_before)
        return found


class DueTasks:
    """Hands out what is due to the dispatcher.

    What is handed out is noted in the same short transaction, with the time at which it is due
    again should it be lost on the way. Any number may take at once. A store that lets two take the
    same task does no harm: the claim tells them apart.
    """

    def __init__(self, store: Store, clock: Clock, bookmarks: Bookmarks) -> None:
        self._store = store
        self._clock = clock
        self._bookmarks = bookmarks
        self._queues: frozenset[str] = frozenset()
        self._ration_of_queues = Ration()
        self._ration_of_next = Ration()

    async def look(self) -> tuple[frozenset[str], datetime | None]:
        """`queues` and `next`, for who needs both."""
        async with self._store.read() as uow:
            return await self._queues_in(uow), await self._next_in(uow)

    async def queues(self) -> frozenset[str]:
        """In which queues something is due now, those that are paused aside.

        Where that has become dear, it is the last answer for a while.
        """
        async with self._store.read() as uow:
            return await self._queues_in(uow)

    async def next(self) -> datetime | None:
        """When something is due next, in a queue that is not paused.

        None, too, while it is too dear to be asked.
        """
        async with self._store.read() as uow:
            return await self._next_in(uow)

    async def take(
        self,
        most: Mapping[str, int],
        admit: Callable[[Sequence[DueTask]], Sequence[DueTask]] = lambda due: due,
    ) -> Sequence[DueTask]:
        """Take the most urgent: at most so many of each queue.

        `admit` may leave some out, given those that could be taken, the most urgent first.
        """
        now = self._clock.now()
        async with self._store.write(durable=False) as uow:
            lines = [
                await self._bookmarks.look(uow.tasks.due, queue, now, count)
                for queue, count in most.items()
            ]
            taken = admit(most_urgent(lines))
            await put_off(uow.tasks, taken, now)
            await uow.commit()
        return taken

    async def _queues_in(self, uow: UnitOfWork) -> frozenset[str]:
        if not self._ration_of_queues.is_resting:
            with self._ration_of_queues.measured():
                self._queues = frozenset(await uow.tasks.due_queues(self._clock.now()))
        return self._queues

    async def _next_in(self, uow: UnitOfWork) -> datetime | None:
        if self._ration_of_next.is_resting:
            return None
        with self._ration_of_next.measured():
            return await uow.tasks.next_due(self._clock.now())
