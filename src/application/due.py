"""What is due: queued tasks whose turn to be handed out has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

from cueline.application.bookmarks import GRACE, Bookmarks
from cueline.application.ports.persistence import Store, TaskRepository, UnitOfWork
from cueline.application.ports.questions import DueTask
from cueline.application.ports.runtime import Clock
from cueline.application.rationing import Ration
from cueline.domain.task import Task, recovery_delay

CHEAP = 0.02
"""A question over all queues that takes no longer is not rationed, in seconds.

More than a look into one queue, as while it is not asked the dispatcher looks a little late.
"""


def most_urgent(lines: Iterable[Sequence[DueTask]]) -> list[DueTask]:
    """What is due in several queues, by priority; within one they take turns, lest one starve."""
    placed = chain.from_iterable(enumerate(line) for line in lines)
    return [due for _, due in sorted(placed, key=lambda each: (each[1].priority, each[0]))]


async def put_off(
    tasks: TaskRepository, handed: Iterable[DueTask] | Iterable[Task], now: datetime
) -> None:
    """Have tasks be due again later, should what they were handed out for come to nothing."""
    await tasks.set_dispatched({due.id: now + recovery_delay(due.dispatches) for due in handed})


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
        self._asked_at = datetime.max.replace(tzinfo=UTC)
        self._ration_of_queues = Ration(CHEAP)
        self._ration_of_next = Ration(CHEAP)

    async def look(self) -> tuple[frozenset[str], datetime | None]:
        """`queues` and `next`, for who needs both."""
        now = self._clock.now()
        async with self._store.read() as uow:
            return await self._queues_in(uow, now), await self._next_in(uow, now)

    async def queues(self) -> frozenset[str]:
        """In which queues something is due now, those that are paused aside.

        While that is dear to ask, it is the last answer, and where something fell due since.
        """
        async with self._store.read() as uow:
            return await self._queues_in(uow, self._clock.now())

    async def next(self) -> datetime | None:
        """When something is due next, in a queue that is not paused.

        None, too, while it is too dear to be asked.
        """
        async with self._store.read() as uow:
            return await self._next_in(uow, self._clock.now())

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
                await self._bookmarks.due(uow.tasks, queue, now, count)
                for queue, count in most.items()
            ]
            taken = admit(most_urgent(lines))
            await put_off(uow.tasks, taken, now)
            await uow.commit()
        return taken

    async def _queues_in(self, uow: UnitOfWork, now: datetime) -> frozenset[str]:
        if self._ration_of_queues.is_resting:
            return self._queues.union(await uow.tasks.due_queues(now, self._asked_at - GRACE))
        with self._ration_of_queues.measured():
            self._queues = frozenset(await uow.tasks.due_queues(now))
        self._asked_at = now
        return self._queues

    async def _next_in(self, uow: UnitOfWork, now: datetime) -> datetime | None:
        if self._ration_of_next.is_resting:
            return None
        with self._ration_of_next.measured():
            return await uow.tasks.next_due(now)
