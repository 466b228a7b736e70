"""Units of work: all or nothing, apart from one another, and none lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from functools import partial
from itertools import count
from types import coroutine
from typing import Any

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.definition import TaskDefinition
from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import TaskId
from cueline.domain.queue import Queue
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker
from tests.contracts.store_suite import StoreSuite, get, get_all, put, put_run
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_worker, a_workflow


class Boom(Exception):
    """What goes wrong in a test."""


class TransactionContract(StoreSuite):
    async def test_leaving_without_commit_takes_everything_back(self, store: Store) -> None:
        before = await _seed(store)
        async with store.write() as uow:
            await _change_everything(uow, before)
        await _nothing_has_changed(store, before)

    async def test_an_error_takes_everything_back(self, store: Store) -> None:
        before = await _seed(store)

        async def fail() -> None:
            async with store.write() as uow:
                await _change_everything(uow, before)
                raise Boom

        with pytest.raises(Boom):
            await fail()
        await _nothing_has_changed(store, before)

    async def test_cancellation_takes_everything_back(self, store: Store) -> None:
        before = await _seed(store)
        changed = asyncio.Event()

        async def write() -> None:
            async with store.write() as uow:
                await _change_everything(uow, before)
                changed.set()
                await asyncio.Event().wait()

        writer = asyncio.create_task(write())
        await changed.wait()
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        await _nothing_has_changed(store, before)

    async def test_a_cancellation_at_any_moment_leaves_all_or_nothing(self, store: Store) -> None:
        for step in count(1):
            task, worker = a_task(queue=f"queue-{step}"), a_worker()
            was_cancelled = await _cancelled_at(step, _write(store, task, worker))
            async with store.read() as uow:
                has_task = await uow.tasks.get_many([task.id]) != []
                has_worker = await uow.workers.get(worker.id) is not None
            assert has_task is has_worker
            if not was_cancelled:
                assert has_task
                break

    async def test_a_writer_that_gives_up_waiting_leaves_the_way_free(self, store: Store) -> None:
        async with store.write() as uow:
            await uow.tasks.add_many([a_task()])
            waiting = asyncio.create_task(put(store, a_task()))
            await asyncio.sleep(0)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            await uow.commit()
        await put(store, a_task())

    async def test_what_was_committed_stays_although_leaving_fails(self, store: Store) -> None:
        task = a_task()

        async def fail() -> None:
            async with store.write() as uow:
                await uow.tasks.add_many([task])
                await uow.commit()
                raise Boom

        with pytest.raises(Boom):
            await fail()
        assert await get(store, task.id) == task

    async def test_a_reader_sees_nothing_that_is_not_committed(self, store: Store) -> None:
        old, new = a_task(), a_task()
        await put(store, old)
        async with store.write() as uow:
            await uow.tasks.add_many([new])
            await uow.tasks.save_many([old.cancel(NOW)])
            assert await get_all(store, [old.id, new.id]) == [old]
            await uow.commit()
        assert await get_all(store, [old.id, new.id]) == [old.cancel(NOW), new]

    async def test_readers_do_not_wait_for_a_writer(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        async with store.write() as uow:
            await uow.tasks.save_many([task.cancel(NOW)])
            async with asyncio.timeout(5), store.read() as one, store.read() as two:
                assert await one.tasks.get_many([task.id]) == [task]
                assert await two.tasks.get_many([task.id]) == [task]

    async def test_a_writer_does_not_wait_for_readers(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        async with store.read() as reader:
            assert await reader.tasks.get_many([task.id]) == [task]
            async with asyncio.timeout(5):
                await put(store, a_task())

    async def test_a_reader_cannot_change_anything(self, store: Store) -> None:
        task = a_task()
        with suppress(Exception):
            async with store.read() as uow:
                await uow.tasks.add_many([task])
                await uow.commit()
        async with store.read() as uow:
            assert await uow.tasks.get_many([task.id]) == []

    async def test_of_parallel_writers_of_one_version_one_wins(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        workers = [a_worker() for _ in range(10)]

        async def claim(number: int) -> bool:
            async with store.write() as uow:
                [found] = await uow.tasks.get_many([task.id])
                if found.state is not TaskState.QUEUED:
                    return False
                await asyncio.sleep(0)
                stale = await uow.tasks.save_many([found.claim(workers[number].id, NOW)])
                await uow.commit()
            return not stale

        won = await asyncio.gather(*(claim(number) for number in range(10)))
        assert sum(won) == 1
        assert (await get(store, task.id)).worker_id == workers[won.index(True)].id

    async def test_of_parallel_writers_of_one_key_one_wins(self, store: Store) -> None:
        tasks = [a_task(key="one") for _ in range(10)]

        async def add(number: int) -> set[TaskId]:
            async with store.write() as uow:
                added = await uow.tasks.add_many([tasks[number]])
                await uow.commit()
            return added

        added = await asyncio.gather(*(add(number) for number in range(10)))
        assert sum(map(len, added)) == 1
        async with store.read() as uow:
            [holder] = await uow.tasks.by_keys(["one"])
        assert {holder.id} in added

    async def test_many_writers_at_once_all_get_through(self, store: Store) -> None:
        tasks = [a_task() for _ in range(50)]
        await asyncio.gather(*(put(store, task) for task in tasks))
        assert len(await get_all(store, [task.id for task in tasks])) == 50

    async def test_thousands_of_tasks_go_through_in_one_piece(self, store: Store) -> None:
        tasks = [a_task(key=f"key-{n}") for n in range(4_000)]
        ids = [task.id for task in tasks]
        await put(store, *tasks)
        async with store.write() as uow:
            assert len(await uow.tasks.by_keys([f"key-{n}" for n in range(4_000)])) == 4_000
            due = await uow.tasks.due("default", NOW, 9_000)
            assert [task.id for task in due] == ids
            await uow.tasks.set_dispatched(dict.fromkeys(ids, NOW))
            assert await uow.tasks.save_many([task.cancel(NOW) for task in tasks]) == set()
            await uow.commit()
        async with store.read() as uow:
            assert len(await uow.tasks.versions(ids)) == 4_000
            counts = await uow.tasks.count_by_queue(NOW)
            assert counts["default"]["cancelled"] == 4_000
            newest = await uow.tasks.search(TaskFilter(), Page(3), NOW)
        assert [task.id for task in newest] == ids[:-4:-1]


async def _write(store: Store, task: Task, worker: Worker) -> None:
    async with store.write() as uow:
        await uow.tasks.add_many([task])
        await uow.tasks.save_many([task.claim(worker.id, NOW)])
        await uow.workers.add(worker)
        await uow.commit()


async def _cancelled_at(step: int, work: Coroutine[Any, Any, None]) -> bool:
    """Whether it was cancelled: when it waits for the `step`th time, if it ever does."""

    @coroutine
    def run() -> Generator[Any, Any, None]:
        go_on = partial(work.send, None)
        for number in count(1):
            try:
                awaited = go_on()
            except StopIteration:
                return
            if number == step:
                task.cancel()
            try:
                yield awaited
                go_on = partial(work.send, None)
            except asyncio.CancelledError as cancelled:
                go_on = partial(work.throw, cancelled)

    async def supervised() -> None:
        await run()

    task = asyncio.create_task(supervised())
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


class _Seed:
    """What is in the store before a test changes it."""

    def __init__(self) -> None:
        self.task = a_task()
        self.run = a_run()
        self.worker = a_worker()


async def _seed(store: Store) -> _Seed:
    seed = _Seed()
    await put(store, seed.task)
    await put_run(store, seed.run)
    async with store.write() as uow:
        await uow.workers.add(seed.worker)
        await uow.commit()
    return seed


async def _change_everything(uow: UnitOfWork, seed: _Seed) -> None:
    await uow.tasks.add_many([a_task(queue="new", key="new")])
    await uow.tasks.save_many([seed.task.claim(seed.worker.id, NOW)])
    await uow.runs.lock_many([seed.run.id])
    await uow.runs.add_many([a_run(key="new")])
    await uow.runs.append_history([Event(Subject.RUN, seed.run.id, 1, "x", NOW)])
    await uow.workflows.add(a_workflow(name="new"))
    await uow.definitions.put_many([TaskDefinition("new", {})])
    await uow.queues.save(Queue("new", paused=True))
    await uow.workers.save(seed.worker.stop(), seed.worker.lease_until)
    ended = Attempt(seed.task.id, 1, seed.worker.id, NOW, NOW, AttemptOutcome.FAILED)
    await uow.journal.add_attempts([ended])
    await uow.journal.add_logs([LogEntry(seed.task.id, 1, NOW, "progress", "x")])


async def _nothing_has_changed(store: Store, seed: _Seed) -> None:
    async with store.read() as uow:
        assert await uow.tasks.search(TaskFilter(), Page(), NOW) == [seed.task]
        assert await uow.tasks.by_keys(["new"]) == []
        assert await uow.tasks.count_by_queue(NOW) == {"default": {"queued": 1}}
        assert await uow.tasks.due_queues(NOW) == {"default"}
        assert await uow.runs.by_keys(["new"]) == []
        assert await uow.runs.get_many([seed.run.id]) == [seed.run]
        assert await uow.runs.history(seed.run.id, 0, 9) == []
        assert await uow.workflows.list_all() == []
        assert await uow.definitions.list_all() == []
        assert await uow.queues.list_all() == []
        assert await uow.workers.get(seed.worker.id) == seed.worker
        assert await uow.journal.attempts(seed.task.id) == []
        assert await uow.journal.logs(seed.task.id, 0, 9) == []
        assert await uow.journal.progress([seed.task.id]) == {}
    await put(store, a_task(key="new"))  # and the next writer is not held up
