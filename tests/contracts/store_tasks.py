"""Tasks: stored whole, found by id and key, saved under their version."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

from cueline.application.ports.persistence import Store
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId, TaskId
from cueline.domain.json import Json
from cueline.domain.queue import Queue
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import Origin, Priority, Task, TaskState
from cueline.domain.worker import WorkerState
from tests.contracts.store_suite import StoreSuite, get, get_all, hired, put, save
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_task_id, a_worker

EVERY_KIND: dict[str, Json] = {
    "null": None,
    "true": True,
    "small": -1,
    "large": 2**64 - 1,
    "least": -(2**63),
    "whole": 1.0,
    "fraction": 0.1,
    "tiny": 5e-324,
    "text": "naïve — 日本 🚀 \x00 \n \" ' \\ %s :x ?",
    "": ["empty key", [], {}],
    "deep": {"a": [{"b": [1, [2, [3]]]}]},
}


class TaskContract(StoreSuite):
    async def test_a_task_comes_back_as_it_was_given(self, store: Store) -> None:
        task = a_task(
            name="shop.send",
            input=EVERY_KIND,
            queue="mail",
            priority=Priority.HIGH,
            run_at=NOW + timedelta(microseconds=1),
            key="order-7",
            tags=("red", "blue"),
            timeout=timedelta(seconds=1.5),
            retry=RetryPolicy(
                attempts=9,
                backoff=Backoff.LINEAR,
                first=timedelta(milliseconds=250),
                factor=1.5,
                cap=timedelta(days=2),
                jitter=0.25,
                permanent=frozenset({"ValueError", "shop.OutOfStock"}),
            ),
            origin=Origin(RunId(a_run().id), "charge", Purpose.UNDO),
        )
        await put(store, task)
        assert await get(store, task.id) == task

    async def test_one_call_at_once_is_kept_as_a_whole(self, store: Store) -> None:
        one, other = a_task(), a_task()
        async with store.at_once() as uow:
            assert await uow.tasks.add_many([one, other]) == {one.id, other.id}
            await uow.commit()
        moved = other.cancel(NOW)
        await save(store, moved)
        async with store.at_once() as uow:
            claimed = [task.claim(a_worker().id, NOW) for task in (one, other)]
            assert await uow.tasks.save_many(claimed) == {other.id}
            await uow.commit()
        assert await get_all(store, [one.id, other.id]) == [claimed[0], moved]

    async def test_a_task_that_is_claimed_as_it_is_added_is_added_as_it_was_given(
        self, store: Store
    ) -> None:
        [worker] = await hired(store, a_worker())
        await put(store, there := a_task(key="taken"))
        origin = Origin(RunId(a_run().id), "charge", Purpose.WORK)
        new = a_task(queue="fresh", input=EVERY_KIND, tags=("red",), origin=origin)
        again, keyed = replace(there, attempt=3), a_task(key="taken")
        claimed = [task.claim(worker.id, NOW) for task in (new, again, keyed)]
        async with store.write() as uow:
            assert await uow.tasks.add_claimed([]) == set()
            assert await uow.tasks.add_claimed(claimed) == {new.id}
            assert await uow.tasks.add_claimed(claimed) == set()
            await uow.commit()
        assert await get_all(store, [there.id, new.id, keyed.id]) == [there, claimed[0]]
        async with store.read() as uow:
            assert await uow.tasks.held_by(worker.id) == {new.id: claimed[0].version}
            assert "fresh" in await uow.tasks.count_by_queue(NOW)

    async def test_a_task_is_not_added_claimed_for_a_lost_worker_or_in_a_paused_queue(
        self, store: Store
    ) -> None:
        live, lost = await hired(store, a_worker(), a_worker(state=WorkerState.LOST))
        tasks = [a_task(queue=queue) for queue in ("held", "free") * 3]
        wishes = [
            task.claim(worker.id, NOW)
            for task, worker in zip(tasks, [live, live, lost, lost, *[a_worker()] * 2], strict=True)
        ]
        async with store.write() as uow:
            await uow.queues.save(Queue("held", paused=True))
            assert await uow.tasks.add_claimed(wishes) == {tasks[1].id}
            await uow.queues.save(Queue("held", paused=False))
            assert await uow.tasks.add_claimed(wishes) == {tasks[0].id}
            assert await uow.tasks.add_many(tasks) == {task.id for task in tasks[2:]}
            await uow.commit()

    async def test_a_task_keeps_each_state_with_all_its_facts(self, store: Store) -> None:
        tasks = [a_task(state=state, output=EVERY_KIND) for state in TaskState]
        await put(store, *tasks)
        assert await get_all(store, [task.id for task in tasks]) == tasks

    async def test_every_kind_of_json_can_be_an_output(self, store: Store) -> None:
        for output in (*EVERY_KIND.values(), EVERY_KIND):
            task = a_task(state=TaskState.SUCCEEDED, output=output)
            await put(store, task)
            found = await get(store, task.id)
            assert found.output == output
            assert type(found.output) is type(output)

    async def test_a_failure_is_kept_without_its_lineage(self, store: Store) -> None:
        running = a_task(state=TaskState.RUNNING)
        failure = Failure.of(ValueError("über \x00 \n two lines"))
        await put(store, running)
        await save(store, running.fail(failure, NOW, 0.0))
        found = await get(store, running.id)
        assert failure.lineage
        assert found.failure == replace(failure, lineage=frozenset())

    async def test_times_are_kept_to_the_microsecond_in_any_zone(self, store: Store) -> None:
        elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=45)))
        task = a_task(run_at=elsewhere + timedelta(microseconds=123457))
        await put(store, task)
        found = await get(store, task.id)
        assert found.run_at == NOW + timedelta(microseconds=123457)
        assert found.run_at.tzinfo is not None

    async def test_unknown_ids_are_left_out(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        wanted = [a_task_id(), task.id, TaskId("no uuid at all"), TaskId("")]
        async with store.read() as uow:
            assert [found.id for found in await uow.tasks.get_many(wanted)] == [task.id]
            assert await uow.tasks.versions(wanted) == {task.id: 1}
            assert await uow.tasks.get_many([]) == []
            assert await uow.tasks.versions([]) == {}

    async def test_asking_for_an_id_twice_gives_its_task_once(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        async with store.read() as uow:
            assert await uow.tasks.get_many([task.id, task.id]) == [task]

    async def test_adding_answers_the_ids_that_were_new(self, store: Store) -> None:
        first, second = a_task(), a_task()
        await put(store, first)
        changed = replace(first, spec=replace(first.spec, name="other"))
        async with store.write() as uow:
            assert await uow.tasks.add_many([changed, second]) == {second.id}
            await uow.commit()
        assert (await get(store, first.id)).spec.name == first.spec.name

    async def test_adding_nothing_is_allowed(self, store: Store) -> None:
        async with store.write() as uow:
            assert await uow.tasks.add_many([]) == set()
            assert await uow.tasks.save_many([]) == set()
            assert await uow.tasks.by_keys([]) == []

    async def test_a_key_belongs_to_the_first_task_that_has_it(self, store: Store) -> None:
        first, second, third = a_task(key="k"), a_task(key="k"), a_task(key="other")
        await put(store, first)
        async with store.write() as uow:
            assert await uow.tasks.add_many([second, third]) == {third.id}
            assert await uow.tasks.by_keys(["k"]) == [first]
            await uow.commit()
        async with store.read() as uow:
            found = await uow.tasks.by_keys(["k", "other", "unknown"])
        assert {task.id for task in found} == {first.id, third.id}

    async def test_a_key_used_twice_in_one_batch_belongs_to_the_first(self, store: Store) -> None:
        first, second = a_task(key="k"), a_task(key="k")
        async with store.write() as uow:
            assert await uow.tasks.add_many([first, second]) == {first.id}

    async def test_any_number_of_tasks_may_have_no_key(self, store: Store) -> None:
        await put(store, a_task(), a_task(), a_task())

    async def test_a_key_outlives_the_end_of_its_task(self, store: Store) -> None:
        await put(store, a_task(key="k", state=TaskState.SUCCEEDED))
        async with store.write() as uow:
            assert await uow.tasks.add_many([a_task(key="k")]) == set()

    async def test_keys_differ_by_every_character(self, store: Store) -> None:
        tasks = [a_task(key=key) for key in ("k", "K", "k ", " k", "ķ", "k\u0327", "k" * 255)]
        await put(store, *tasks)

    async def test_a_save_replaces_the_version_before_it(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        claimed = task.claim(a_worker().id, NOW)
        assert await save(store, claimed) == set()
        assert await get(store, task.id) == claimed
        async with store.read() as uow:
            assert await uow.tasks.versions([task.id]) == {task.id: 2}

    async def test_a_stale_save_changes_nothing_and_is_answered(self, store: Store) -> None:
        task, other = a_task(), a_task()
        await put(store, task, other)
        winner = task.claim(a_worker().id, NOW)
        await save(store, winner)
        loser = task.claim(a_worker().id, NOW)
        beside = other.cancel(NOW)
        assert await save(store, loser, beside) == {task.id}
        assert await get(store, task.id) == winner
        assert await get(store, other.id) == beside

    async def test_a_save_from_the_future_is_stale_too(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        skipped = task.claim(a_worker().id, NOW).succeed(1, NOW)
        assert await save(store, skipped) == {task.id}
        assert await get(store, task.id) == task

    async def test_a_worker_holds_what_it_runs_and_nothing_else(self, store: Store) -> None:
        mine, other = a_worker().id, a_worker().id
        held, done, theirs, waiting = tasks = [a_task() for _ in range(4)]
        await put(store, *tasks)
        for task, worker in ((held, mine), (done, mine), (theirs, other)):
            assert await save(store, task.claim(worker, NOW)) == set()
        await save(store, done.claim(mine, NOW).succeed(None, NOW))
        async with store.read() as uow:
            assert await uow.tasks.held_by(mine) == {held.id: 2}
            assert await uow.tasks.held_by(other) == {theirs.id: 2}
            assert await uow.tasks.held_by(a_worker().id) == {}
        assert (await get(store, waiting.id)).version == 1

    async def test_saving_an_unknown_task_is_stale(self, store: Store) -> None:
        task = a_task().cancel(NOW)
        assert await save(store, task) == {task.id}
        async with store.read() as uow:
            assert await uow.tasks.get_many([task.id]) == []

    async def test_a_save_does_not_write_the_spec(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        claimed = task.claim(a_worker().id, NOW)
        await save(store, replace(claimed, spec=replace(task.spec, name="other", input={})))
        assert await get(store, task.id) == claimed

    async def test_a_unit_of_work_sees_what_it_has_done_itself(self, store: Store) -> None:
        task = a_task(key="k")
        claimed = task.claim(a_worker().id, NOW)
        async with store.write() as uow:
            await uow.tasks.add_many([task])
            assert await uow.tasks.get_many([task.id]) == [task]
            assert await uow.tasks.save_many([claimed]) == set()
            assert await uow.tasks.save_many([claimed]) == {task.id}
            assert await uow.tasks.by_keys(["k"]) == [claimed]
            assert await uow.tasks.versions([task.id]) == {task.id: 2}
            assert await uow.tasks.due("default", NOW, 10) == []

    async def test_changing_json_that_was_given_does_not_change_the_store(
        self, store: Store
    ) -> None:
        inner: list[Json] = [1]
        task = a_task(input={"inner": inner})
        await put(store, task)
        claimed = task.claim(a_worker().id, NOW)
        output: dict[str, Json] = {"inner": inner}
        await save(store, claimed)
        await save(store, claimed.succeed(output, NOW))
        inner.append(2)
        output["more"] = True
        found = await get(store, task.id)
        assert found.spec.input == {"inner": [1]}
        assert found.output == {"inner": [1]}

    async def test_changing_json_that_was_got_does_not_change_the_store(self, store: Store) -> None:
        task = a_task(state=TaskState.SUCCEEDED, input={"a": {"b": 1}}, output=[[1]])
        await put(store, task)
        found = await get(store, task.id)
        _spoil(found)
        assert await get(store, task.id) == a_copy(found, {"a": {"b": 1}}, [[1]])

    async def test_running_tasks_without_a_live_worker_are_orphans(self, store: Store) -> None:
        live, stopped = a_worker(), a_worker(state=WorkerState.STOPPED)
        lost, unknown = a_worker(state=WorkerState.LOST), a_worker()
        async with store.write() as uow:
            for worker in (live, stopped, lost):
                await uow.workers.add(worker)
            await uow.commit()
        workers = (live, stopped, lost, unknown)
        running = [a_task(state=TaskState.RUNNING, worker=worker.id) for worker in workers]
        ended = a_task(state=TaskState.SUCCEEDED, worker=lost.id)
        await put(store, *running, ended, a_task())
        async with store.read() as uow:
            orphans = await uow.tasks.orphans(10)
            some = await uow.tasks.orphans(2)
        assert sorted(orphans, key=lambda task: task.id) == running[1:]
        assert len(some) == 2

    async def test_a_lapsed_lease_alone_makes_no_orphans(self, store: Store) -> None:
        worker = a_worker(now=NOW - timedelta(days=1))
        async with store.write() as uow:
            await uow.workers.add(worker)
            await uow.commit()
        await put(store, a_task(state=TaskState.RUNNING, worker=worker.id))
        async with store.read() as uow:
            assert await uow.tasks.orphans(10) == []


def a_copy(task: Task, input: dict[str, Json], output: Json) -> Task:
    """The task with other JSON."""
    return replace(task, spec=replace(task.spec, input=input), output=output)


def _spoil(task: Task) -> None:
    inner = task.spec.input["a"]
    assert isinstance(inner, dict)
    inner["b"] = 2
    assert isinstance(task.output, list)
    task.output[0].append(2)
