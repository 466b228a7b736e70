"""What the dispatcher asks: what is due, in which order, and when there will be more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import DueTask, Since
from cueline.domain.queue import Queue
from cueline.domain.task import Priority, Task, TaskState
from tests.contracts.store_suite import StoreSuite, get, put, save
from tests.doubles import NOW
from tests.factories import a_task, a_task_id, a_worker

SECOND = timedelta(seconds=1)


class DispatchContract(StoreSuite):
    async def test_only_queued_tasks_whose_time_has_come_are_due(self, store: Store) -> None:
        now = a_task(run_at=NOW)
        ended = [a_task(state=state) for state in TaskState if state is not TaskState.QUEUED]
        await put(store, now, a_task(run_at=NOW + timedelta.resolution), *ended)
        async with store.write() as uow:
            assert await uow.tasks.due("default", NOW, 9) == [
                DueTask(now.id, "default", Priority.NORMAL, NOW, 0)
            ]

    async def test_due_tasks_come_by_priority_then_time_then_id(self, store: Store) -> None:
        late_critical = a_task(priority=Priority.CRITICAL, run_at=NOW)
        early_normal = a_task(run_at=NOW - 2 * SECOND)
        twins = [a_task(run_at=NOW - SECOND), a_task(run_at=NOW - SECOND)]
        early_low = a_task(priority=Priority.LOW, run_at=NOW - 9 * SECOND)
        high = a_task(priority=Priority.HIGH, run_at=NOW)
        await put(store, early_low, twins[1], early_normal, twins[0], high, late_critical)
        expected = [late_critical, high, early_normal, *twins, early_low]
        async with store.write() as uow:
            found = await uow.tasks.due("default", NOW, 99)
            first = await uow.tasks.due("default", NOW, 4)
        assert [task.id for task in found] == [task.id for task in expected]
        assert first == found[:4]

    async def test_a_look_may_begin_later_and_leaves_out_what_was_due_before(
        self, store: Store
    ) -> None:
        long_ago = a_task(run_at=datetime(1969, 1, 1, tzinfo=UTC))
        early, late = a_task(run_at=NOW - SECOND), a_task(run_at=NOW)
        low = a_task(priority=Priority.LOW, run_at=NOW)
        await put(store, early, late, low, long_ago)
        just_later = timedelta.resolution
        wanted: list[tuple[Since, list[Task]]] = [
            ({}, [long_ago, early, late, low]),
            ({Priority.NORMAL: NOW - SECOND}, [early, late, low]),
            ({Priority.NORMAL: NOW - SECOND + just_later}, [late, low]),
            ({Priority.NORMAL: NOW + just_later, Priority.HIGH: NOW}, [low]),
            ({Priority.LOW: NOW + just_later}, [long_ago, early, late]),
            (dict.fromkeys(Priority, NOW + just_later), []),
        ]
        for since, expected in wanted:
            async with store.write() as uow:
                due = await uow.tasks.due("default", NOW, 9, since)
                assert [task.id for task in due] == [task.id for task in expected]
                assert [task.dispatch_at for task in due] == [task.run_at for task in expected]

    async def test_one_can_ask_where_something_fell_due_since(self, store: Store) -> None:
        await put(store, a_task(queue="old", run_at=NOW - SECOND), a_task(queue="new", run_at=NOW))
        await put(store, a_task(queue="later", run_at=NOW + SECOND))
        async with store.read() as uow:
            assert await uow.tasks.due_queues(NOW, NOW - SECOND) == {"old", "new"}
            assert await uow.tasks.due_queues(NOW, NOW) == {"new"}
            assert await uow.tasks.due_queues(NOW, NOW + timedelta.resolution) == set()

    async def test_what_is_due_is_handed_to_one_transaction_alone(self, store: Store) -> None:
        await put(store, *(a_task() for _ in range(20)))

        async def take_some() -> list[str]:
            async with store.write() as uow:
                found = await uow.tasks.due("default", NOW, 5)
                await asyncio.sleep(0.01)  # so that the others look meanwhile, if they can
                await uow.tasks.set_dispatched({due.id: NOW + SECOND for due in found})
                await uow.commit()
            return [due.id for due in found]

        parts = await asyncio.gather(*(take_some() for _ in range(4)))
        taken = [id for part in parts for id in part]
        assert len(taken) == len(set(taken))
        assert len(taken) > 0

    async def test_queues_are_apart(self, store: Store) -> None:
        mail, pdf = a_task(queue="mail"), a_task(queue="pdf")
        await put(store, mail, pdf, a_task(queue="later", run_at=NOW + SECOND))
        async with store.write() as uow:
            assert [task.id for task in await uow.tasks.due("mail", NOW, 9)] == [mail.id]
            assert await uow.tasks.due("unknown", NOW, 9) == []
            assert await uow.tasks.due_queues(NOW) == {"mail", "pdf"}
            assert await uow.tasks.due_queues(NOW + SECOND) == {"mail", "pdf", "later"}

    async def test_nothing_is_due_in_an_empty_store(self, store: Store) -> None:
        async with store.read() as uow:
            assert await uow.tasks.due_queues(NOW) == set()
            assert await uow.tasks.next_due(NOW) is None

    async def test_a_paused_queue_is_not_looked_at(self, store: Store) -> None:
        await put(store, a_task(queue="held"), a_task(queue="held", run_at=NOW + SECOND))
        await put(store, a_task(queue="open"), a_task(queue="open", run_at=NOW + 2 * SECOND))
        await _set(store, Queue("held", paused=True))
        async with store.write() as uow:
            assert await uow.tasks.due_queues(NOW) == {"open"}
            assert await uow.tasks.next_due(NOW) == NOW + 2 * SECOND
            assert await uow.tasks.due("held", NOW, 9) == []
        await _set(store, Queue("held"))
        async with store.read() as uow:
            assert await uow.tasks.due_queues(NOW) == {"held", "open"}
            assert await uow.tasks.next_due(NOW) == NOW + SECOND

    async def test_the_next_due_time_is_strictly_ahead(self, store: Store) -> None:
        await put(
            store,
            a_task(run_at=NOW - SECOND),
            a_task(run_at=NOW),
            a_task(run_at=NOW + 3 * SECOND, queue="other"),
            a_task(run_at=NOW + 2 * SECOND, priority=Priority.LOW),
        )
        async with store.read() as uow:
            assert await uow.tasks.next_due(NOW - 2 * SECOND) == NOW - SECOND
            assert await uow.tasks.next_due(NOW) == NOW + 2 * SECOND
            assert await uow.tasks.next_due(NOW + 2 * SECOND) == NOW + 3 * SECOND
            assert await uow.tasks.next_due(NOW + 3 * SECOND) is None

    async def test_a_dispatched_task_is_due_again_later(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        again = NOW + 5 * SECOND
        await _dispatched(store, task, again)
        assert await get(store, task.id) == replace(task, dispatch_at=again, dispatches=1)
        async with store.write() as uow:
            assert await uow.tasks.due("default", NOW, 9) == []
            assert await uow.tasks.next_due(NOW) == again
            assert await uow.tasks.due("default", again, 9) == [
                DueTask(task.id, "default", Priority.NORMAL, again, 1)
            ]

    async def test_a_note_of_dispatch_moves_no_version(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        await _dispatched(store, task, NOW + SECOND)
        assert await save(store, task.claim(a_worker().id, NOW)) == set()

    async def test_a_note_of_dispatch_is_ignored_by_what_is_set_for_later(
        self, store: Store
    ) -> None:
        task = a_task(run_at=NOW + 9 * SECOND)
        await put(store, task)
        await _dispatched(store, task, NOW + 5 * SECOND)
        assert await get(store, task.id) == task

    async def test_a_note_of_dispatch_is_ignored_by_what_is_not_queued(self, store: Store) -> None:
        tasks = [a_task(state=state) for state in TaskState if state is not TaskState.QUEUED]
        await put(store, *tasks)
        for task in tasks:
            await _dispatched(store, task, NOW + SECOND)
            assert await get(store, task.id) == task

    async def test_a_note_of_dispatch_for_unknown_tasks_is_ignored(self, store: Store) -> None:
        async with store.write() as uow:
            await uow.tasks.set_dispatched({a_task_id(): NOW})
            await uow.tasks.set_dispatched({})
            await uow.commit()

    async def test_each_task_is_set_to_its_own_time(self, store: Store) -> None:
        tasks = [a_task() for _ in range(5)]
        await put(store, *tasks)
        times = {task.id: NOW + (n + 1) * SECOND for n, task in enumerate(tasks)}
        async with store.write() as uow:
            await uow.tasks.set_dispatched(times)
            await uow.commit()
        for task in tasks:
            assert (await get(store, task.id)).dispatch_at == times[task.id]

    async def test_a_message_that_was_not_sent_makes_its_task_due_again(self, store: Store) -> None:
        task, running = a_task(), a_task(state=TaskState.RUNNING)
        await put(store, task, running)
        await _dispatched(store, task, NOW + 60 * SECOND)
        async with store.write() as uow:
            await uow.tasks.set_due([task.id, running.id, a_task_id()], NOW + SECOND)
            await uow.commit()
        async with store.write() as uow:
            found = await uow.tasks.due("default", NOW + SECOND, 9)
        assert [item.id for item in found] == [task.id]
        assert await get(store, running.id) == running

    async def test_a_task_that_goes_back_into_the_queue_is_due_by_its_new_time(
        self, store: Store
    ) -> None:
        running = a_task(state=TaskState.RUNNING)
        await put(store, running)
        await save(store, running.snooze(7 * SECOND, NOW))
        async with store.write() as uow:
            assert await uow.tasks.next_due(NOW) == NOW + 7 * SECOND
            assert await uow.tasks.due("default", NOW, 9) == []
            assert len(await uow.tasks.due("default", NOW + 7 * SECOND, 9)) == 1


async def _dispatched(store: Store, task: Task, again: datetime) -> None:
    async with store.write() as uow:
        await uow.tasks.set_dispatched({task.id: again})
        await uow.commit()


async def _set(store: Store, queue: Queue) -> None:
    async with store.write() as uow:
        await uow.queues.save(queue)
        await uow.commit()
