"""What is registered: workflows, task definitions, queues and workers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cueline.application.ports.persistence import Store
from cueline.domain.definition import TaskDefinition
from cueline.domain.identifiers import WorkerId
from cueline.domain.json import Json
from cueline.domain.queue import Queue
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.worker import Worker, WorkerState
from tests.contracts.store_runs import FULL
from tests.contracts.store_suite import StoreSuite
from tests.doubles import NOW
from tests.factories import a_step, a_worker, a_workflow


class RegistryContract(StoreSuite):
    # --- workflows --------------------------------------------------------------------------------

    async def test_a_workflow_comes_back_as_it_was_given(self, store: Store) -> None:
        async with store.write() as uow:
            assert await uow.workflows.add(FULL)
            await uow.commit()
        async with store.read() as uow:
            assert await uow.workflows.get("full", 3) == FULL
            assert await uow.workflows.get("full", 2) is None
            assert await uow.workflows.get("none", 3) is None

    async def test_a_registered_version_never_changes(self, store: Store) -> None:
        first, second = a_workflow(), a_workflow(steps=[a_step("other")])
        async with store.write() as uow:
            assert await uow.workflows.add(first)
            assert not await uow.workflows.add(first)
            assert not await uow.workflows.add(second)
            assert await uow.workflows.get("order", 1) == first

    async def test_the_latest_version_is_the_highest(self, store: Store) -> None:
        async with store.write() as uow:
            for version in (2, 10, 9):
                await uow.workflows.add(a_workflow(version=version))
            await uow.commit()
        async with store.read() as uow:
            latest = await uow.workflows.latest("order")
            assert latest is not None
            assert latest.version == 10
            assert await uow.workflows.latest("none") is None

    async def test_workflows_are_listed_by_name_and_version(self, store: Store) -> None:
        async with store.write() as uow:
            for name, version in (("b", 2), ("a", 10), ("b", 1), ("a", 9)):
                await uow.workflows.add(a_workflow(name=name, version=version))
            await uow.commit()
        async with store.read() as uow:
            listed = [(flow.name, flow.version) for flow in await uow.workflows.list_all()]
        assert listed == [("a", 9), ("a", 10), ("b", 1), ("b", 2)]

    async def test_names_are_sorted_by_their_code_points(self, store: Store) -> None:
        names = ["B", "a", "a-b", "a.b", "aB", "a_b", "ab", "Ab", "b", "a-c", "aa"]
        async with store.write() as uow:
            for name in names:
                await uow.workflows.add(a_workflow(name=name))
                await uow.queues.save(Queue(name))
            await uow.definitions.put_many([TaskDefinition(name, {}) for name in names])
            await uow.commit()
        async with store.read() as uow:
            assert [flow.name for flow in await uow.workflows.list_all()] == sorted(names)
            assert [queue.name for queue in await uow.queues.list_all()] == sorted(names)
            assert [task.name for task in await uow.definitions.list_all()] == sorted(names)

    async def test_changing_a_workflow_that_was_given_does_not_change_the_store(
        self, store: Store
    ) -> None:
        template: dict[str, Json] = {"a": 1}
        async with store.write() as uow:
            await uow.workflows.add(a_workflow(steps=[a_step(input=template)]))
            await uow.commit()
        template["b"] = 2
        async with store.read() as uow:
            assert await uow.workflows.get("order", 1) == a_workflow(steps=[a_step(input={"a": 1})])

    async def test_changing_a_workflow_that_was_got_does_not_change_the_store(
        self, store: Store
    ) -> None:
        async with store.write() as uow:
            await uow.workflows.add(a_workflow(steps=[a_step(input={"a": 1})]))
            await uow.commit()
        for _ in range(2):
            async with store.read() as uow:
                found = await uow.workflows.get("order", 1)
            assert found is not None
            given = found.steps[0].input
            assert given == {"a": 1}
            assert isinstance(given, dict)
            given["b"] = 2

    # --- task definitions -------------------------------------------------------------------------

    async def test_the_last_word_on_a_task_definition_holds(self, store: Store) -> None:
        full = TaskDefinition(
            "send",
            {"type": "object", "properties": {"order": {"type": "integer"}}},
            queue="mail",
            priority=Priority.LOW,
            retry=RetryPolicy(attempts=8, permanent=frozenset({"ValueError"})),
            timeout=timedelta(seconds=90),
            description="Sends.",
        )
        async with store.write() as uow:
            await uow.definitions.put_many([TaskDefinition("send", {}), TaskDefinition("b", {})])
            await uow.definitions.put_many([full, TaskDefinition("a", {})])
            await uow.definitions.put_many([])
            await uow.commit()
        async with store.read() as uow:
            a, b, send = await uow.definitions.list_all()
        assert (a.name, b.name) == ("a", "b")
        assert send == full

    # --- queues -----------------------------------------------------------------------------------

    async def test_queues_keep_their_settings(self, store: Store) -> None:
        async with store.write() as uow:
            await uow.queues.save(Queue("b"))
            await uow.queues.save(Queue("a", paused=True))
            await uow.queues.save(Queue("b", paused=True))
            await uow.queues.save(Queue("c", paused=True).resume())
            await uow.commit()
        async with store.read() as uow:
            assert await uow.queues.list_all() == [
                Queue("a", paused=True),
                Queue("b", paused=True),
                Queue("c"),
            ]

    # --- workers ----------------------------------------------------------------------------------

    async def test_a_worker_comes_back_as_it_was_given(self, store: Store) -> None:
        worker = a_worker(queues=("b", "a"), slots=17, now=NOW + timedelta(microseconds=7))
        await _add(store, worker)
        async with store.read() as uow:
            assert await uow.workers.get(worker.id) == worker
            assert await uow.workers.get(a_worker().id) is None
            assert await uow.workers.get(WorkerId("no uuid")) is None

    async def test_a_lease_is_renewed_from_the_one_that_was_read(self, store: Store) -> None:
        worker = a_worker()
        await _add(store, worker)
        renewed = worker.renew(NOW + timedelta(seconds=3))
        assert await _save(store, renewed, worker)
        assert not await _save(store, worker.renew(NOW + timedelta(seconds=4)), worker)
        assert await _get(store, worker) == renewed

    async def test_an_evicted_worker_cannot_renew(self, store: Store) -> None:
        worker = a_worker()
        await _add(store, worker)
        late = worker.lease_until
        assert await _save(store, worker.evict(late), worker)
        assert not await _save(store, worker.renew(late), worker)
        assert not await _save(store, worker.stop(), worker)
        assert (await _get(store, worker)).state is WorkerState.LOST

    async def test_a_renewed_worker_cannot_be_evicted_by_an_old_look(self, store: Store) -> None:
        worker = a_worker()
        await _add(store, worker)
        late = worker.lease_until
        assert await _save(store, worker.renew(late), worker)
        assert not await _save(store, worker.evict(late), worker)
        assert (await _get(store, worker)).state is WorkerState.LIVE

    async def test_saving_an_unknown_worker_does_nothing(self, store: Store) -> None:
        worker = a_worker()
        assert not await _save(store, worker.renew(NOW), worker)
        async with store.read() as uow:
            assert await uow.workers.search(9) == []

    async def test_live_workers_are_those_that_count_as_live(self, store: Store) -> None:
        live, lapsed = a_worker(), a_worker(now=NOW - timedelta(days=1))
        stopped, lost = a_worker(state=WorkerState.STOPPED), a_worker(state=WorkerState.LOST)
        await _add(store, live, lapsed, stopped, lost)
        async with store.read() as uow:
            assert {worker.id for worker in await uow.workers.live()} == {live.id, lapsed.id}

    async def test_workers_are_listed_live_first_then_youngest(self, store: Store) -> None:
        def started(seconds: int, state: WorkerState = WorkerState.LIVE) -> Worker:
            return a_worker(now=NOW + timedelta(seconds=seconds), state=state)

        old, young = started(1), started(3)
        stopped, lost = started(9, WorkerState.STOPPED), started(5, WorkerState.LOST)
        await _add(store, old, lost, stopped, young)
        async with store.read() as uow:
            listed = await uow.workers.search(9)
            assert [worker.id for worker in listed] == [young.id, old.id, stopped.id, lost.id]
            assert await uow.workers.search(2) == listed[:2]

    async def test_a_save_of_a_worker_writes_its_state_and_lease_only(self, store: Store) -> None:
        worker = a_worker()
        await _add(store, worker)
        renewed = worker.renew(NOW + timedelta(seconds=1))
        assert await _save(store, replace(renewed, slots=99, name="other"), worker)
        assert await _get(store, worker) == renewed


async def _add(store: Store, *workers: Worker) -> None:
    async with store.write() as uow:
        for worker in workers:
            await uow.workers.add(worker)
        await uow.commit()


async def _save(store: Store, worker: Worker, read: Worker) -> bool:
    async with store.write() as uow:
        saved = await uow.workers.save(worker, read.lease_until)
        await uow.commit()
    return saved


async def _get(store: Store, worker: Worker) -> Worker:
    async with store.read() as uow:
        found = await uow.workers.get(worker.id)
    assert found is not None
    return found
