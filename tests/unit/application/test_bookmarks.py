"""Looks at what is due that have become dear, as while a transaction is held open for long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from cueline.application.bookmarks import GRACE, Bookmarks
from cueline.application.due import CHEAP, DueTasks
from cueline.application.rationing import LONGEST_REST, REST
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.brittle import BrittleStore
from tests.contracts.store_suite import put
from tests.doubles import NOW, FakeClock
from tests.factories import a_claimant, a_task, a_worker

DEAR = 10 * CHEAP
SECOND = timedelta(seconds=1)
ANEW: Mapping[Priority, datetime] = {}


class Shelf:
    """A store whose answers take as long as they are told to; from where each look began."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.store = BrittleStore()
        self.bookmarks = Bookmarks()
        self.due = DueTasks(self.store, FakeClock(), self.bookmarks)
        self.cost = 0.0
        self.begun: list[object] = []
        self.failing = False
        for name in ("due", "claim_due", "due_queues", "next_due"):
            self._watch(patch, name)

    def _watch(self, patch: pytest.MonkeyPatch, name: str) -> None:
        answer = getattr(MemoryTasks, name)

        async def watched(tasks: MemoryTasks, *args: object) -> object:
            since = args[-1] if name in {"due", "claim_due"} or len(args) == 2 else None
            self.begun.append(dict(since) if isinstance(since, Mapping) else since)
            await asyncio.sleep(0.0 if since else self.cost)
            if self.failing:
                raise TimeoutError
            return await answer(tasks, *args)

        patch.setattr(MemoryTasks, name, watched)

    async def look(self, limit: int = 9, queue: str = "default") -> list[TaskId]:
        """What is due, without taking it."""
        async with self.store.write() as uow:
            return [each.id for each in await self.bookmarks.due(uow.tasks, queue, NOW, limit)]

    async def claim(self, limit: int, urgency: Priority = Priority.LOW) -> list[Task]:
        """Claim what is due."""
        worker = a_worker()
        async with self.store.write() as uow:
            await uow.workers.add(worker)
            taken = await self.bookmarks.claim_due(
                uow.tasks, "default", a_claimant(worker), NOW, limit, urgency
            )
            await uow.commit()
        return taken.claimed

    async def became_dear(self) -> None:
        """Look from the beginning until that rests."""
        self.cost = DEAR
        await self.look()
        await self.look()
        self.begun.clear()

    async def take(self, task: Task) -> None:
        """Have it be due no more."""
        async with self.store.write() as uow:
            await uow.tasks.save_many([task.cancel(NOW)])
            await uow.commit()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(monkeypatch)


async def test_cheap_looks_begin_at_the_beginning(shelf: Shelf) -> None:
    await put(shelf.store, a_task())
    for _ in range(3):
        assert len(await shelf.look()) == 1
    assert shelf.begun == [ANEW] * 3


async def test_one_dear_look_may_be_chance_and_the_next_begins_anew(shelf: Shelf) -> None:
    await put(shelf.store, a_task())
    shelf.cost = DEAR
    await shelf.look()
    shelf.cost = 0.0
    await shelf.look()
    await shelf.look()
    assert shelf.begun == [ANEW] * 3


async def test_after_dear_looks_the_next_begin_with_the_earliest_that_was_left(
    shelf: Shelf,
) -> None:
    tasks = [a_task(run_at=NOW - (3 - number) * 10 * SECOND) for number in range(3)]
    await put(shelf.store, *tasks)
    await shelf.became_dear()
    await shelf.take(tasks[0])
    assert await shelf.look() == [task.id for task in tasks[1:]]
    assert await shelf.look() == [task.id for task in tasks[1:]]
    first, second = shelf.begun
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first[Priority.NORMAL] == tasks[0].run_at
    assert second[Priority.NORMAL] == tasks[1].run_at


async def test_what_is_urgent_does_not_hide_the_backlog_behind_it(shelf: Shelf) -> None:
    urgent = a_task(priority=Priority.CRITICAL, run_at=NOW)
    backlog = [a_task(run_at=NOW - 3600 * SECOND) for _ in range(5)]
    await put(shelf.store, urgent, *backlog)
    shelf.cost = DEAR
    for _ in range(2):
        assert await shelf.look(limit=1) == [urgent.id]
    await shelf.take(urgent)
    assert await shelf.look(limit=3) == [task.id for task in backlog[:3]]
    assert await shelf.look() == [task.id for task in backlog]


async def test_what_waits_long_does_not_keep_the_others_bookmarks_back(shelf: Shelf) -> None:
    low = a_task(priority=Priority.LOW, run_at=NOW - 3600 * SECOND)
    await put(shelf.store, low, a_task(run_at=NOW))
    await shelf.became_dear()
    assert len(await shelf.look()) == 2
    assert shelf.begun == [
        {
            Priority.CRITICAL: NOW - GRACE,
            Priority.HIGH: NOW - GRACE,
            Priority.NORMAL: NOW - GRACE,
            Priority.LOW: low.run_at,
        }
    ]


async def test_each_queue_has_a_bookmark_of_its_own(shelf: Shelf) -> None:
    await put(shelf.store, a_task(queue="mail"))
    await shelf.became_dear()
    assert len(await shelf.look(queue="mail")) == 1
    assert shelf.begun == [ANEW]


async def test_a_dear_look_has_a_twentieth_of_the_time_and_then_what_came_before_is_found(
    shelf: Shelf,
) -> None:
    await put(shelf.store, a_task(run_at=NOW))
    await shelf.became_dear()
    await put(shelf.store, a_task(run_at=NOW - 60 * SECOND))  # by a clock that is slow
    assert len(await shelf.look()) == 1
    await asyncio.sleep(REST * DEAR)
    assert len(await shelf.look()) == 2
    assert shelf.begun[-1] == ANEW


async def test_however_dear_it_was_a_look_begins_at_the_beginning_in_the_end(
    shelf: Shelf,
) -> None:
    await put(shelf.store, a_task(run_at=NOW))
    shelf.cost = LONGEST_REST
    await shelf.look()
    await shelf.look()
    await asyncio.sleep(LONGEST_REST)
    await shelf.look()
    assert shelf.begun == [ANEW] * 3


@pytest.mark.parametrize("found", [0, 1])
async def test_after_dear_looks_what_is_committed_a_little_late_is_seen_still(
    shelf: Shelf, found: int
) -> None:
    await put(shelf.store, *(a_task(run_at=NOW) for _ in range(found)))
    await shelf.became_dear()
    await put(shelf.store, a_task(run_at=NOW - SECOND))
    assert len(await shelf.look()) == found + 1
    assert shelf.begun == [dict.fromkeys(Priority, NOW - GRACE)]


async def test_dear_looks_that_failed_rest_too_where_there_is_a_bookmark(shelf: Shelf) -> None:
    await put(shelf.store, a_task(run_at=NOW))
    await shelf.look()
    shelf.cost, shelf.failing = DEAR, True
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await shelf.look()
    shelf.failing = False
    assert len(await shelf.look()) == 1
    assert shelf.begun[:3] == [ANEW] * 3
    assert shelf.begun[3] != ANEW


async def test_dear_claims_from_a_backlog_begin_where_the_last_one_ended(shelf: Shelf) -> None:
    backlog = [a_task(run_at=NOW - (9 - number) * 10 * SECOND) for number in range(8)]
    low = a_task(priority=Priority.LOW, run_at=NOW - 3600 * SECOND)
    await put(shelf.store, *backlog, low)
    shelf.cost = DEAR
    for count in range(4):
        claimed = await shelf.claim(limit=2)
        expected = backlog[2 * count : 2 * count + 2]
        assert {task.id for task in claimed} == {task.id for task in expected}
    assert shelf.begun[:2] == [ANEW] * 2
    assert shelf.begun[2:] == [
        {Priority.CRITICAL: NOW - GRACE, Priority.HIGH: NOW - GRACE, Priority.NORMAL: each.run_at}
        for each in (backlog[2], backlog[4])
    ]
    assert [task.id for task in await shelf.claim(limit=2)] == [low.id]


async def test_a_claim_says_nothing_about_what_is_less_urgent_than_it_asked_for(
    shelf: Shelf,
) -> None:
    low = a_task(priority=Priority.LOW, run_at=NOW - 3600 * SECOND)
    await put(shelf.store, low)
    shelf.cost = DEAR
    for _ in range(2):
        await put(shelf.store, urgent := a_task(priority=Priority.CRITICAL))
        assert [task.id for task in await shelf.claim(2, Priority.HIGH)] == [urgent.id]
    shelf.begun.clear()
    assert [task.id for task in await shelf.claim(limit=2)] == [low.id]
    assert shelf.begun == [dict.fromkeys((Priority.CRITICAL, Priority.HIGH), NOW - GRACE)]


async def test_who_claims_nothing_learns_nothing_as_it_may_not_be_live(shelf: Shelf) -> None:
    await put(shelf.store, *(a_task(run_at=NOW - 60 * SECOND) for _ in range(2)))
    shelf.cost = DEAR
    lost = a_claimant(a_worker())
    for _ in range(2):
        async with shelf.store.write() as uow:
            args = ("default", lost, NOW, 9, Priority.LOW)
            assert (await shelf.bookmarks.claim_due(uow.tasks, *args)).claimed == []
    assert len(await shelf.claim(limit=9)) == 2


async def test_while_it_is_dear_to_ask_which_queues_are_known_that_were_or_fell_due_since(
    shelf: Shelf,
) -> None:
    await put(shelf.store, a_task(queue="mail", run_at=NOW - 60 * SECOND))
    shelf.cost = DEAR
    assert [await shelf.due.queues() for _ in range(2)] == [{"mail"}] * 2
    await put(shelf.store, a_task(queue="retried", run_at=NOW))
    await put(shelf.store, a_task(queue="resumed", run_at=NOW - 60 * SECOND))
    assert await shelf.due.queues() == {"mail", "retried"}
    assert shelf.begun == [None, None, NOW - GRACE]
    await asyncio.sleep(REST * DEAR)
    assert await shelf.due.queues() == {"mail", "retried", "resumed"}


async def test_what_falls_due_is_seen_though_nothing_was_when_it_became_dear_to_ask(
    shelf: Shelf,
) -> None:
    shelf.cost = DEAR
    assert [await shelf.due.queues() for _ in range(3)] == [frozenset()] * 3
    await put(shelf.store, a_task(run_at=NOW))
    assert await shelf.due.queues() == {"default"}


async def test_nobody_says_what_is_due_next_while_it_is_dear_to_ask(shelf: Shelf) -> None:
    await put(shelf.store, a_task(run_at=NOW + SECOND))
    shelf.cost = DEAR
    assert [await shelf.due.next() for _ in range(3)] == [NOW + SECOND, NOW + SECOND, None]
    await asyncio.sleep(REST * DEAR)
    assert await shelf.due.next() == NOW + SECOND
