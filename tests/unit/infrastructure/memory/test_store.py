"""What the memory store promises beyond its port: snapshots, and clear words about misuse."""

from __future__ import annotations

import asyncio
import random

import pytest

from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.errors import Conflict
from cueline.domain.events import Event, Subject
from cueline.domain.task import Task, TaskState
from cueline.infrastructure.memory.ordered import CHUNK, Ordered
from cueline.infrastructure.memory.store import MemoryStore
from tests.contracts.store_suite import put, put_run, save
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_worker


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


# --- snapshots ------------------------------------------------------------------------------------


async def everything(uow: UnitOfWork) -> list[object]:
    """What a unit of work sees of the tasks, by every index."""
    tasks = uow.tasks
    found = await tasks.search(TaskFilter(), Page(100), NOW)
    return [
        found,
        await tasks.get_many([task.id for task in found]),
        await tasks.by_keys(["old", "new"]),
        await tasks.due("default", NOW, 9),
        await tasks.due_queues(NOW),
        await tasks.count_by_queue(NOW),
        await tasks.orphans(9),
    ]


async def test_a_reader_goes_on_seeing_what_was_there_when_it_began(store: MemoryStore) -> None:
    old, other = a_task(key="old"), a_task()
    await put(store, old, other)
    async with store.read() as early:
        before = await everything(early)
        await put(store, a_task(key="new", queue="new"))
        await save(store, old.claim(a_worker().id, NOW))
        async with store.read() as late:
            after = await everything(late)
            await save(store, other.cancel(NOW))
            assert await everything(late) == after
        assert await everything(early) == before
    async with store.read() as fresh:
        assert await everything(fresh) not in (before, after)


async def test_a_reader_that_sees_nothing_goes_on_seeing_nothing(store: MemoryStore) -> None:
    async with store.read() as reader:
        await put(store, a_task())
        assert await reader.tasks.search(TaskFilter(), Page(), NOW) == []
        assert await reader.tasks.due_queues(NOW) == set()
        assert await reader.tasks.count_by_queue(NOW) == {}


async def test_every_view_stays_true_under_random_changes(store: MemoryStore) -> None:
    chance = random.Random(7)
    known: dict[str, Task] = {}
    open_readers: list[tuple[UnitOfWork, list[object]]] = []
    for _ in range(60):
        async with store.write() as uow:
            changed = dict(known)
            for _ in range(chance.randint(1, 4)):
                await _change(uow, changed, chance)
            seen = await uow.tasks.search(TaskFilter(), Page(1000), NOW)
            assert {task.id: task for task in seen} == changed
            if chance.random() < 0.7:
                await uow.commit()
                known = changed
        reader = await store.read().__aenter__()
        found = await reader.tasks.search(TaskFilter(), Page(1000), NOW)
        assert {task.id: task for task in found} == known
        open_readers.append((reader, await everything(reader)))
        if len(open_readers) > 5:
            reader, expected = open_readers.pop(0)
            assert await everything(reader) == expected
            await reader.__aexit__(None, None, None)


async def _change(uow: UnitOfWork, tasks: dict[str, Task], chance: random.Random) -> None:
    queued = [task for task in tasks.values() if not task.state.ended]
    if not queued or chance.random() < 0.4:
        task = a_task(queue=chance.choice(["default", "other"]))
        await uow.tasks.add_many([task])
    else:
        task = chance.choice(queued)
        if task.state is TaskState.RUNNING:
            task = task.release()
        else:
            task = chance.choice([task.cancel(NOW), task.claim(a_worker().id, NOW)])
        await uow.tasks.save_many([task])
    tasks[task.id] = task


# --- misuse ---------------------------------------------------------------------------------------


async def test_a_unit_of_work_has_to_be_entered(store: MemoryStore) -> None:
    with pytest.raises(RuntimeError, match="not entered yet"):
        await store.write().tasks.add_many([])
    with pytest.raises(RuntimeError, match="not entered yet"):
        await store.read().tasks.get_many([])


async def test_after_a_commit_nothing_more_can_be_done(store: MemoryStore) -> None:
    async with store.write() as uow:
        await uow.commit()
        with pytest.raises(RuntimeError, match="is committed"):
            await uow.tasks.get_many([])
        with pytest.raises(RuntimeError, match="is committed"):
            await uow.commit()


async def test_after_leaving_nothing_more_can_be_done(store: MemoryStore) -> None:
    for uow in (store.write(), store.read()):
        async with uow:
            pass
        with pytest.raises(RuntimeError, match="was left"):
            await uow.tasks.get_many([])
        with pytest.raises(RuntimeError, match="ask the store for a new one"):
            await uow.__aenter__()
    await put(store, a_task())


async def test_a_reader_refuses_changes(store: MemoryStore) -> None:
    async with store.read() as uow:
        with pytest.raises(RuntimeError, match=r"use store\.write"):
            await uow.tasks.add_many([a_task()])
        with pytest.raises(RuntimeError, match=r"use store\.write"):
            await uow.runs.lock_many([])
        with pytest.raises(RuntimeError, match=r"use store\.write"):
            await uow.commit()


async def test_a_run_that_was_not_locked_cannot_be_saved(store: MemoryStore) -> None:
    run = a_run()
    await put_run(store, run)
    async with store.write() as uow:
        [found] = await uow.runs.get_many([run.id])
        with pytest.raises(RuntimeError, match="not locked"):
            await uow.runs.save_many([found])


async def test_an_entry_of_a_history_cannot_be_written_twice(store: MemoryStore) -> None:
    entry = Event(Subject.RUN, a_run().id, 1, "run.started", NOW)
    async with store.write() as uow:
        await uow.runs.append_history([entry])
        with pytest.raises(Conflict, match="has an entry 1 already"):
            await uow.runs.append_history([entry])


async def test_writers_take_turns_in_the_order_in_which_they_came(store: MemoryStore) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with store.write():
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(write(number) for number in range(5)))
    assert order == [number for number in range(5) for _ in range(2)]


async def test_opening_and_closing_keep_what_is_stored(store: MemoryStore) -> None:
    await store.open()
    task = a_task()
    await put(store, task)
    await store.close()
    await store.close()
    await store.open()
    async with store.read() as uow:
        assert await uow.tasks.get_many([task.id]) == [task]


# --- the sorted collection beneath the indexes ----------------------------------------------------


def test_a_sorted_collection_agrees_with_a_sorted_list() -> None:
    chance = random.Random(3)
    ordered: Ordered[tuple[int, int]] = Ordered()
    expected: list[tuple[int, int]] = []
    for number in range(8 * CHUNK):
        if expected and chance.random() < 0.4:
            item = expected.pop(chance.randrange(len(expected)))
            ordered.remove(item)
        else:
            item = (chance.randrange(50), number)
            expected.append(item)
            ordered.add(item)
    expected.sort()
    assert len(ordered) == len(expected)
    assert list(ordered.ascending()) == expected
    assert list(ordered.descending()) == expected[::-1]
    for position in [(0,), (17,), (50,), expected[100], (-1,)]:
        assert list(ordered.ascending(position)) == [i for i in expected if i >= position]
        below = [i for i in expected if i < position]
        assert list(ordered.descending(position)) == below[::-1]
    for item in expected:
        ordered.remove(item)
    assert list(ordered.ascending()) == list(ordered.descending((9,))) == []
