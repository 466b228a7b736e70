"""Looks at what is due that have become dear, as while a transaction is held open for long."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from cueline.application.due import GRACE, Bookmarks, DueTasks
from cueline.application.ports.persistence import DueTask, TaskRepository
from cueline.application.rationing import CHEAP, LONGEST_REST, REST
from cueline.domain.task import Priority
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.brittle import BrittleStore
from tests.doubles import NOW, FakeClock
from tests.factories import a_task, a_task_id

DEAR = 10 * CHEAP
SECOND = timedelta(seconds=1)


class Index:
    """What is due in a queue; a look from the beginning takes as long as it is told to."""

    def __init__(self, *due: datetime) -> None:
        self.due = list(due)
        self.cost = 0.0
        self.begun: list[datetime | None] = []

    async def find(
        self, queue: str, now: datetime, limit: int, since: datetime | None
    ) -> list[DueTask]:
        self.begun.append(since)
        await asyncio.sleep(self.cost if since is None else 0.0)
        found = sorted(at for at in self.due if at <= now and (since is None or at >= since))
        return [DueTask(a_task_id(), queue, Priority.NORMAL, at, 0) for at in found[:limit]]


async def test_cheap_looks_begin_at_the_beginning() -> None:
    index, bookmarks = Index(NOW - SECOND, NOW), Bookmarks()
    for _ in range(3):
        assert len(await bookmarks.look(index.find, "q", NOW, 9)) == 2
    assert index.begun == [None, None, None]


async def test_after_a_dear_look_the_next_begin_with_the_first_that_was_left() -> None:
    index, bookmarks = Index(NOW - 2 * SECOND, NOW - SECOND, NOW), Bookmarks()
    index.cost = DEAR
    await bookmarks.look(index.find, "q", NOW, 2)
    del index.due[0]  # taken
    await bookmarks.look(index.find, "q", NOW, 2)
    await bookmarks.look(index.find, "q", NOW, 2)
    assert index.begun == [None, NOW - 2 * SECOND, NOW - SECOND]


async def test_each_queue_has_a_bookmark_of_its_own() -> None:
    index, other, bookmarks = Index(NOW), Index(NOW), Bookmarks()
    index.cost = DEAR
    await bookmarks.look(index.find, "q", NOW, 2)
    await bookmarks.look(other.find, "r", NOW, 2)
    await bookmarks.look(other.find, "r", NOW, 2)
    assert other.begun == [None, None]


async def test_a_dear_look_has_a_twentieth_of_the_time_and_then_what_came_before_is_found() -> None:
    index, bookmarks = Index(NOW), Bookmarks()
    index.cost = DEAR
    await bookmarks.look(index.find, "q", NOW, 9)
    index.due.append(NOW - 60 * SECOND)  # by a clock that is slow
    assert len(await bookmarks.look(index.find, "q", NOW, 9)) == 1
    await asyncio.sleep(REST * DEAR)
    assert len(await bookmarks.look(index.find, "q", NOW, 9)) == 2
    assert index.begun == [None, NOW, None]


async def test_however_dear_it_was_a_look_begins_at_the_beginning_in_the_end() -> None:
    index, bookmarks = Index(NOW), Bookmarks()
    index.cost = LONGEST_REST
    await bookmarks.look(index.find, "q", NOW, 9)
    await asyncio.sleep(LONGEST_REST)
    await bookmarks.look(index.find, "q", NOW, 9)
    assert index.begun == [None, None]


async def test_after_a_dear_look_that_found_nothing_late_commits_are_seen_still() -> None:
    index, bookmarks = Index(), Bookmarks()
    index.cost = DEAR
    await bookmarks.look(index.find, "q", NOW, 9)
    index.due.append(NOW - SECOND)
    assert len(await bookmarks.look(index.find, "q", NOW, 9)) == 1
    assert index.begun == [None, NOW - GRACE]


async def test_a_look_that_failed_may_be_repeated_from_the_beginning() -> None:
    bookmarks = Bookmarks()
    begun: list[datetime | None] = []

    async def fail(queue: str, now: datetime, limit: int, since: datetime | None) -> list[DueTask]:
        begun.append(since)
        await asyncio.sleep(DEAR)
        raise TimeoutError

    for _ in range(2):
        with pytest.raises(TimeoutError):
            await bookmarks.look(fail, "q", NOW, 9)
    assert begun == [None, None]


class TestOverAllQueues:
    @pytest.fixture
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Have the store take long to say what is due; which of the questions it was asked."""
        asked: list[str] = []

        def slowed(name: str) -> None:
            answer = getattr(MemoryTasks, name)

            async def asking(tasks: TaskRepository, now: datetime) -> object:
                asked.append(name)
                await asyncio.sleep(DEAR)
                return await answer(tasks, now)

            monkeypatch.setattr(MemoryTasks, name, asking)

        slowed("due_queues")
        slowed("next_due")
        return asked

    async def test_the_last_answer_stands_while_it_is_dear_to_ask_which_queues(
        self, slow: list[str]
    ) -> None:
        store = BrittleStore()
        due = DueTasks(store, FakeClock(), Bookmarks())
        async with store.write() as uow:
            await uow.tasks.add_many([a_task(queue="mail", run_at=NOW)])
            await uow.commit()
        assert [await due.queues() for _ in range(3)] == [{"mail"}] * 3
        assert slow == ["due_queues"]
        await asyncio.sleep(REST * DEAR)
        assert await due.queues() == {"mail"}
        assert slow == ["due_queues", "due_queues"]

    async def test_nobody_says_what_is_due_next_while_it_is_dear_to_ask(
        self, slow: list[str]
    ) -> None:
        store = BrittleStore()
        due = DueTasks(store, FakeClock(), Bookmarks())
        async with store.write() as uow:
            await uow.tasks.add_many([a_task(run_at=NOW + SECOND)])
            await uow.commit()
        assert [await due.next() for _ in range(2)] == [NOW + SECOND, None]
        await asyncio.sleep(REST * DEAR)
        assert await due.next() == NOW + SECOND
        assert slow == ["next_due"] * 2
