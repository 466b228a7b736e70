"""Falling back: without the broker tasks are accepted and run all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from cueline.application import intake, link
from cueline.application.ports.questions import Taken
from cueline.application.tasks import Submission
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority, Task, TaskState
from cueline.domain.worker import Worker
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.brittle import EVERYTHING
from tests.factories import a_step, a_workflow
from tests.harness import Harness

TAKEN = "cueline_tasks_taken_from_store_total"


@pytest.fixture(autouse=True)
def _long_distance(monkeypatch: pytest.MonkeyPatch, _impatient: None) -> None:
    """A broker that is away stays so, unless the test asks for it back."""
    monkeypatch.setattr(link, "PROBE_DISTANCE", 0.01)


async def submit_many(h: Harness, count: int) -> list[Task]:
    """Submit tasks; answer them in order."""
    return [item.task for item in await h.app.submit([Submission("send", {})] * count)]


async def take(h: Harness, worker: Worker, limit: int, *names: str) -> list[Task]:
    """Claim in one round what tasks of these names there are."""
    return await h.app.claim(worker, names, limit, 1)


# --- submitting -----------------------------------------------------------------------------------


async def test_submits_during_an_outage_ask_the_broker_once_at_most(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE_DISTANCE", 3600)
    await h.hire()
    h.clock.advance(5)  # what was known of the broker is too old
    h.broker.asked.clear()
    h.broker.refusing = EVERYTHING
    for _ in range(10):
        await asyncio.gather(*(h.app.submit.one(Submission("send", {})) for _ in range(10)))
        h.clock.advance(5)
    assert h.broker.asked.total() == 1
    assert len(await h.work()) == 100


async def test_submits_do_not_wait_one_after_another_for_a_broker_that_swallows_them(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PATIENCE", 0.01)
    monkeypatch.setattr(link, "PROBE_DISTANCE", 3600)
    await h.hire()
    h.broker.asked.clear()
    h.broker.silent = EVERYTHING
    for _ in range(50):
        await h.submit()
    assert h.broker.asked.total() == 1


async def test_what_could_not_be_published_is_due_at_once(h: Harness) -> None:
    await h.hire()
    h.broker.refusing = EVERYTHING
    task = await h.submit()
    assert (await h.task(task.id)).dispatches == 1
    assert [done.id for done in await h.work()] == [task.id]


# --- working --------------------------------------------------------------------------------------


async def test_an_error_of_the_brokers_that_nobody_foresaw_fails_no_submit(
    h: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    await h.hire()
    monkeypatch.setattr(h.broker, "publish", fail)
    task = await h.submit()
    monkeypatch.undo()
    assert "nobody foresaw this" in caplog.text
    assert [each.id for each in await h.work()] == [task.id]


async def test_workers_take_tasks_from_the_store_and_count_them(h: Harness) -> None:
    await h.broker_goes_away()
    tasks = await submit_many(h, 10)
    assert [done.id for done in await h.work()] == [task.id for task in tasks]
    assert h.measured(TAKEN) == 10


async def test_no_more_is_taken_than_asked_for(h: Harness) -> None:
    await h.hire("default", "printer")
    await h.broker_goes_away()
    await submit_many(h, 10)
    await h.submit("print")
    assert len(await h.claim(limit=3)) == 3
    assert len(await h.claim(limit=100)) == 8


async def test_priority_decides_across_queues(h: Harness) -> None:
    await h.hire("default", "printer")
    await h.broker_goes_away()
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL]
    names = ["send", "print", "send", "print"]
    tasks = [
        await h.submit(name, priority=priority) for name, priority in zip(names, order, strict=True)
    ]
    assert [done.id for done in await h.work()] == [task.id for task in reversed(tasks)]


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_within_a_priority_no_queue_starves_another(h: Harness, limit: int) -> None:
    worker = await h.hire("default", "printer")
    await h.broker_goes_away()
    await submit_many(h, 100)
    await h.app.submit([Submission("print", {})] * 100)
    claimed: Counter[str] = Counter()
    for _ in range(10):
        for task in await h.claim(worker, limit):
            claimed[task.spec.queue] += 1
    assert claimed == {"default": 5 * limit, "printer": 5 * limit}


async def test_a_worker_takes_nothing_from_queues_that_it_does_not_serve(h: Harness) -> None:
    await h.hire("printer")
    await h.broker_goes_away()
    task = await h.submit()
    assert await h.work() == []
    assert (await h.task(task.id)).dispatches == 0


async def test_a_delayed_task_stays_delayed(h: Harness) -> None:
    await h.broker_goes_away()
    task = await h.submit(delay=timedelta(minutes=5))
    h.clock.advance(299)
    assert await h.work() == []
    h.clock.advance(1)
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_paused_queue_stays_paused(h: Harness) -> None:
    await h.broker_goes_away()
    await h.app.queues.pause("default")
    task = await h.submit()
    assert await h.work() == []
    await h.app.queues.resume("default")
    assert [done.id for done in await h.work()] == [task.id]


async def test_a_task_that_fails_is_retried(h: Harness) -> None:
    h.on("send", lambda task: 1 / 0 if task.attempt == 1 else "done")
    await h.broker_goes_away()
    task = await h.submit()
    await h.work()
    assert (await h.task(task.id)).state is TaskState.QUEUED
    h.clock.advance(10)
    await h.work()
    ended = await h.task(task.id)
    assert (ended.state, ended.attempt) == (TaskState.SUCCEEDED, 2)


async def test_a_workflow_runs_to_its_end(h: Harness) -> None:
    await h.broker_goes_away()
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    await h.work()
    assert (await h.run(run.id)).state == "succeeded"


async def test_what_a_worker_was_told_of_and_did_not_claim_is_left_as_it_was(h: Harness) -> None:
    worker = await h.hire()
    await h.broker_goes_away()
    task = await h.submit()
    assert (await h.app.claim.receive(worker, 1, 0)).from_store == 1
    assert await h.task(task.id) == task


@pytest.mark.parametrize("queues", [("default",), ("default", "mail")])
async def test_tasks_for_which_a_worker_has_no_handler_are_put_off_for_others(
    h: Harness, caplog: pytest.LogCaptureFixture, queues: tuple[str, ...]
) -> None:
    worker = await h.hire(*queues)
    await h.broker_goes_away()
    unknown, known = await h.submit("print", queue="default"), await h.submit()
    assert await take(h, worker, 1, "send") == []
    assert [task.id for task in await take(h, worker, 1, "send")] == [known.id]
    assert "no handler here: 1 (such as print" in caplog.text
    assert await h.app.claim(worker, ["print"], 1, 0) == []  # it was put off, for others
    h.clock.advance(5)
    assert [task.id for task in await take(h, worker, 1, "print")] == [unknown.id]


async def test_several_workers_at_once_take_each_task_once(h: Harness) -> None:
    others = [Harness(beside=h) for _ in range(3)]
    tasks = await submit_many(h, 60)
    for process in (h, *others):
        await process.hire(slots=3)
        await process.broker_goes_away()
    parts = await asyncio.gather(*(process.work() for process in (h, *others)))
    done = [task.id for part in parts for task in part]
    assert sorted(done) == [task.id for task in tasks]
    assert sum(len(process.executor.executed) for process in (h, *others)) == 60


# --- waiting --------------------------------------------------------------------------------------


async def test_a_waiting_worker_falls_back_when_the_broker_goes_away(h: Harness) -> None:
    worker = await h.hire()
    waiting = asyncio.create_task(h.app.claim.receive(worker, 1, 3600))
    await asyncio.sleep(0.005)
    assert not waiting.done()
    await h.broker_goes_away()
    await h.submit()
    async with asyncio.timeout(2):
        assert (await waiting).from_store == 1


async def test_a_resting_worker_is_woken_by_a_submit_of_its_process(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SHORTEST_NAP", 3600)
    monkeypatch.setattr(intake, "LONGEST_NAP", 3600)
    worker = await h.hire()
    await h.broker_goes_away()
    waiting = asyncio.create_task(h.app.claim.receive(worker, 1, 3600))
    await asyncio.sleep(0.005)
    await h.submit()
    async with asyncio.timeout(2):
        assert (await waiting).from_store == 1


async def test_a_resting_worker_finds_what_another_process_submits(h: Harness) -> None:
    worker = await h.hire()
    await h.broker_goes_away()
    waiting = asyncio.create_task(h.app.claim.receive(worker, 1, 3600))
    await asyncio.sleep(0.005)
    await Harness(beside=h).submit()
    async with asyncio.timeout(2):
        assert (await waiting).from_store == 1


async def test_a_resting_worker_does_not_ask_the_store_all_the_time(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    read = h.store.read

    def count() -> object:
        nonlocal looks
        looks += 1
        return read()

    worker = await h.hire()
    await h.broker_goes_away()
    monkeypatch.setattr(h.store, "read", count)
    assert (await h.app.claim.receive(worker, 1, 0.35)).lead_nowhere
    assert looks <= 4


async def test_a_worker_that_looks_in_vain_rests_before_it_looks_again(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(self: MemoryTasks, *_: object) -> Taken:
        return Taken([])

    worker = await h.hire()
    await h.broker_goes_away()
    task = await h.submit()
    monkeypatch.setattr(MemoryTasks, "claim_due", none)  # as if another held it
    loop = asyncio.get_running_loop()
    began, rounds = loop.time(), 0
    while loop.time() - began < 0.5:
        rounds += 1
        assert await h.app.claim(worker, h.executor.names, 4, 3600) == []
    assert rounds <= 10
    monkeypatch.undo()
    assert [each.id for each in await take(h, worker, 4, "send")] == [task.id]


async def test_a_store_that_is_away_too_is_an_error(h: Harness) -> None:
    worker = await h.hire()
    await h.broker_goes_away()
    h.store.failing_read = Unavailable("the store")
    with pytest.raises(Unavailable, match="the store"):
        await h.app.claim.receive(worker, 1, 0)


# --- the way back ---------------------------------------------------------------------------------


async def test_the_worker_goes_back_to_the_broker_by_itself(h: Harness) -> None:
    worker = await h.hire()
    await h.broker_goes_away()
    waiting = asyncio.create_task(h.app.claim.receive(worker, 1, 3600))
    await asyncio.sleep(0.005)
    h.broker.refusing = frozenset()
    h.broker.asked.clear()
    async with asyncio.timeout(2):
        while not h.broker.asked["receive"]:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.001)
        h.clock.advance(1)  # the room is looked for again
        task = await h.submit()
        hints = await waiting
    assert hints.tasks == {task.id}
    assert len(hints.deliveries) == 1
    assert h.measured(TAKEN) == 0


async def test_messages_that_survived_in_the_broker_do_no_harm(h: Harness) -> None:
    await h.hire(slots=4)
    tasks = await submit_many(h, 8)
    assert await h.in_broker() == 8
    await h.broker_goes_away()
    done = await h.work_for(5)
    assert sorted(task.id for task in done) == [task.id for task in tasks]
    await h.broker_comes_back()
    assert await h.in_broker() == 8
    assert await h.work() == []
    assert await h.in_broker() == 0
    assert len(h.executor.executed) == 8


# --- the dispatcher -------------------------------------------------------------------------------


async def test_the_dispatcher_is_quiet_while_the_broker_is_away(
    h: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link, "PROBE_DISTANCE", 3600)
    await h.hire()
    await h.broker_goes_away()
    caplog.clear()
    h.broker.asked.clear()
    task = await h.submit()
    h.store.failing_read = AssertionError("there is nothing to look for")
    for _ in range(10):
        assert (await h.app.dispatch()).count == 0
    h.store.failing_read = None
    assert (await h.task(task.id)).dispatches == 0
    assert not h.broker.asked
    assert not caplog.records


async def test_the_dispatcher_goes_on_when_the_broker_is_back(h: Harness) -> None:
    await h.hire(slots=4)
    await h.broker_goes_away()
    await submit_many(h, 20)
    assert (await h.app.dispatch()).count == 0
    await h.broker_comes_back()
    assert (await h.app.dispatch()).count == 8
    assert await h.in_broker() == 8


async def test_a_dispatcher_alone_in_its_process_notices_the_return(h: Harness) -> None:
    await h.hire()
    await h.broker_goes_away()
    await h.submit()
    h.broker.refusing = frozenset()
    async with asyncio.timeout(2):
        while not (await h.app.dispatch()).count:  # noqa: ASYNC110  # as its loop does
            await asyncio.sleep(0.001)
    assert await h.in_broker() == 1
