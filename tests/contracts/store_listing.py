"""Listings of tasks: filters, pages, and counts."""

from __future__ import annotations

from datetime import timedelta

from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.identifiers import RunId
from cueline.domain.task import Origin, Task, TaskState
from tests.contracts.store_suite import StoreSuite, put, save
from tests.doubles import NOW
from tests.factories import a_run, a_task, a_worker

LATER = NOW + timedelta(hours=1)


class ListingContract(StoreSuite):
    async def test_tasks_are_listed_newest_first(self, store: Store) -> None:
        tasks = [a_task(queue=queue) for queue in ("a", "b", "a", "c")]
        await put(store, *tasks)
        assert await _search(store, TaskFilter()) == tasks[::-1]

    async def test_a_listing_goes_on_page_by_page(self, store: Store) -> None:
        states = list(TaskState)
        tasks = [a_task(state=states[n % 5], queue=f"q{n % 3}") for n in range(11)]
        await put(store, *tasks)
        seen: list[Task] = []
        after = None
        while page := await _search(store, TaskFilter(), Page(limit=4, after=after)):
            assert len(page) <= 4
            seen += page
            after = page[-1].id
        assert seen == tasks[::-1]

    async def test_a_listing_goes_on_although_new_tasks_arrive(self, store: Store) -> None:
        old = [a_task() for _ in range(3)]
        await put(store, *old)
        first = await _search(store, TaskFilter(), Page(limit=2))
        await put(store, a_task())
        assert await _search(store, TaskFilter(), Page(after=first[-1].id)) == [old[0]]

    async def test_tasks_are_filtered_by_state(self, store: Store) -> None:
        by_state = {state: a_task(state=state) for state in TaskState}
        await put(store, *by_state.values())
        for state, task in by_state.items():
            assert await _search(store, TaskFilter(states=(state,))) == [task]
        both = (TaskState.FAILED, TaskState.CANCELLED)
        found = await _search(store, TaskFilter(states=both))
        assert {task.state for task in found} == set(both)

    async def test_scheduled_tasks_are_told_from_waiting_ones(self, store: Store) -> None:
        waiting, scheduled = a_task(), a_task(run_at=LATER)
        await put(store, waiting, scheduled)
        queued = (TaskState.QUEUED,)
        assert await _search(store, TaskFilter(queued, scheduled=True)) == [scheduled]
        assert await _search(store, TaskFilter(queued, scheduled=False)) == [waiting]
        async with store.read() as uow:
            assert await uow.tasks.search(TaskFilter(queued, scheduled=True), Page(), LATER) == []

    async def test_only_queued_tasks_are_split_by_their_run_time(self, store: Store) -> None:
        waiting, scheduled, failed = a_task(), a_task(run_at=LATER), a_task(state=TaskState.FAILED)
        await put(store, waiting, scheduled, failed)
        states = (TaskState.QUEUED, TaskState.FAILED)
        found = await _search(store, TaskFilter(states, scheduled=True))
        assert {task.id for task in found} == {scheduled.id, failed.id}

    async def test_filters_narrow_one_another(self, store: Store) -> None:
        run = RunId(a_run().id)
        wanted = a_task(queue="mail", name="send", tags=("red", "x"), origin=Origin(run, "one"))
        others = [
            a_task(queue="pdf", name="send", tags=("red",), origin=Origin(run, "two")),
            a_task(queue="mail", name="render", tags=("red",), origin=Origin(run, "three")),
            a_task(queue="mail", name="send", tags=("reddish",), origin=Origin(run, "four")),
            a_task(queue="mail", name="send", tags=("red",)),
        ]
        await put(store, wanted, *others)
        every = TaskFilter((TaskState.QUEUED,), False, "mail", "send", run, "red")
        assert await _search(store, every) == [wanted]
        assert len(await _search(store, TaskFilter(queue="mail"))) == 4
        assert len(await _search(store, TaskFilter(name="send"))) == 4
        assert len(await _search(store, TaskFilter(run_id=run))) == 4
        assert len(await _search(store, TaskFilter(tag="red"))) == 4
        assert await _search(store, TaskFilter(queue="unknown")) == []

    async def test_tasks_are_counted_by_queue_and_state(self, store: Store) -> None:
        await put(store, a_task(), a_task(), a_task(run_at=LATER))
        await put(store, *(a_task(state=s, queue="mail") for s in TaskState for _ in range(2)))
        async with store.read() as uow:
            counts = await uow.tasks.count_by_queue(NOW)
        assert _without_zeros(counts) == {
            "default": {"queued": 2, "scheduled": 1},
            "mail": {state.value: 2 for state in TaskState},
        }

    async def test_a_task_with_the_broker_counts_as_queued(self, store: Store) -> None:
        task = a_task()
        await put(store, task)
        async with store.write() as uow:
            await uow.tasks.set_dispatched({task.id: LATER})
            await uow.commit()
        async with store.read() as uow:
            counts = await uow.tasks.count_by_queue(NOW)
        assert _without_zeros(counts) == {"default": {"queued": 1}}

    async def test_counts_follow_the_tasks(self, store: Store) -> None:
        task = a_task(run_at=LATER)
        await put(store, task)
        claimed = task.claim(a_worker().id, LATER)
        await save(store, claimed)
        await save(store, claimed.succeed(None, LATER))
        async with store.read() as uow:
            counts = await uow.tasks.count_by_queue(NOW)
        assert _without_zeros(counts) == {"default": {"succeeded": 1}}


async def _search(store: Store, wanted: TaskFilter, page: Page | None = None) -> list[Task]:
    async with store.read() as uow:
        return await uow.tasks.search(wanted, page or Page(), NOW)


def _without_zeros(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    kept = {
        queue: {state: number for state, number in of_queue.items() if number}
        for queue, of_queue in counts.items()
    }
    return {queue: of_queue for queue, of_queue in kept.items() if of_queue}
