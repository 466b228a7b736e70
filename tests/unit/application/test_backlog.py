"""A backlog: workers that found much take the rest from the store, past dispatcher and broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from cueline.application import backlog
from cueline.application.dispatch import RELIEF
from cueline.application.hints import Hints
from cueline.application.ports.broker import Delivery
from cueline.application.tasks import Submission
from cueline.domain.errors import Unavailable, WorkerEvicted
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task
from cueline.domain.worker import Worker
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.harness import Harness

TAKEN = "cueline_tasks_taken_from_store_total"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims count as following one another quickly, however busy this machine is."""
    monkeypatch.setattr(backlog, "UNHEARD_FOR", 3600)


async def submit_many(h: Harness, count: int, name: str = "send") -> list[Task]:
    """Submit tasks; answer them in order."""
    return [item.task for item in await h.app.submit([Submission(name, {})] * count)]


async def take(h: Harness, worker: Worker, limit: int = 4, *names: str) -> list[Task]:
    """Claim in one round, without a dispatch before it."""
    return await h.app.claim(worker, names or h.executor.names, limit, 0)


async def a_backlog(h: Harness, count: int = 20) -> tuple[Worker, list[Task]]:
    """A worker that has just emptied the broker, and the tasks that are left in the store."""
    worker = await h.hire(slots=4)
    tasks = await submit_many(h, 8 + count)
    assert len(await take(h, worker, 8)) == 8
    assert await h.in_broker() == 0
    return worker, tasks[8:]


async def test_who_was_given_all_it_asked_for_takes_the_next_from_the_store(h: Harness) -> None:
    worker, waiting = await a_backlog(h)
    assert [task.id for task in await take(h, worker)] == [task.id for task in waiting[:4]]
    assert h.measured(TAKEN) == 4


@pytest.mark.parametrize("limit", [1, 2])
async def test_an_eighth_comes_from_the_broker_so_that_neither_grows_old(
    h: Harness, limit: int
) -> None:
    worker, waiting = await a_backlog(h, 30)
    await h.app.dispatch()
    sent, left = {task.id for task in waiting[:8]}, {task.id for task in waiting[8:]}
    claimed = {task.id for task in await take(h, worker, 8 * limit)}
    assert (len(claimed & sent), len(claimed & left)) == (limit, 7 * limit)
    assert await h.in_broker() == 8 - limit


@pytest.mark.usefixtures("quick")
async def test_once_the_store_gave_all_every_eighth_claim_is_of_the_brokers(
    h: Harness,
) -> None:
    worker, waiting = await a_backlog(h, 100)
    await take(h, worker, 2)
    await h.app.dispatch()
    sent = {task.id for task in waiting[2:10]}
    heard = [sum(task.id in sent for task in await take(h, worker, 2)) for _ in range(16)]
    assert heard == [*[0] * 7, 2, *[0] * 7, 2]


@pytest.mark.usefixtures("quick")
async def test_urgent_tasks_that_fill_a_claim_of_the_brokers_are_taken_before_the_stores(
    h: Harness,
) -> None:
    worker, _ = await a_backlog(h, 100)
    await take(h, worker, 2)
    urgent = [await h.submit(priority=Priority.HIGH) for _ in range(8)]
    for _ in range(7):
        assert len(await take(h, worker, 2)) == 2
    claimed = [task.id for _ in range(7) for task in await take(h, worker, 2)]
    assert claimed == [task.id for task in urgent]


async def test_messages_that_lead_nowhere_do_not_hide_the_backlog(h: Harness) -> None:
    worker, waiting = await a_backlog(h)
    await take(h, worker)
    await h.app.dispatch()
    await h.app.tasks.cancel([task.id for task in waiting[4:12]])
    claimed = [task.id for _ in range(4) for task in await take(h, worker)]
    assert claimed == [task.id for task in waiting[12:]]


async def test_a_broker_that_gives_too_many_leaves_nothing_to_the_store(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, waiting = await a_backlog(h)
    await h.app.dispatch()
    receive = h.broker.receive

    async def generous(queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        return await receive(queues, 8, wait)

    monkeypatch.setattr(h.broker, "receive", generous)
    claimed = [task.id for task in await take(h, worker, 4)]
    assert claimed == [task.id for task in waiting[:8]]


async def test_a_broker_that_is_away_is_owed_nothing_afterwards(h: Harness) -> None:
    worker, waiting = await a_backlog(h, 100)
    h.broker.refusing = frozenset({"receive"})
    for _ in range(20):
        assert len(await take(h, worker, 4)) == 4
    h.broker.refusing = frozenset()
    await h.broker_comes_back()
    await h.app.dispatch()
    sent = {task.id for task in waiting[80:88]}
    assert sum(task.id in sent for task in await take(h, worker, 8)) <= 1


async def test_hints_of_both_places_say_how_many_were_wanted_in_all(h: Harness) -> None:
    worker, _ = await a_backlog(h)
    await h.app.dispatch()
    hints = await h.app.claim.receive(worker, 16, 0)
    assert (hints.wanted, len(hints.tasks), hints.from_store) == (16, 2, 14)


async def test_one_task_at_a_time_comes_from_the_broker_in_its_order(h: Harness) -> None:
    worker, waiting = await a_backlog(h)
    await h.app.dispatch()
    claimed = [task.id for _ in range(8) for task in await take(h, worker, 1)]
    assert claimed == [task.id for task in waiting[:8]]


async def test_one_task_at_a_time_comes_from_the_store_once_the_broker_is_empty(h: Harness) -> None:
    worker, waiting = await a_backlog(h)
    claimed = [task.id for _ in range(20) for task in await take(h, worker, 1)]
    assert claimed == [task.id for task in waiting]


async def test_nothing_less_urgent_is_taken_than_what_may_be_left_at_the_broker(h: Harness) -> None:
    worker, _ = await a_backlog(h, 0)
    urgent = [await h.submit(priority=Priority.HIGH) for _ in range(4)]
    await submit_many(h, 20)
    assert [task.id for task in await take(h, worker, 16)] == [task.id for task in urgent[:2]]
    assert [task.id for task in (await take(h, worker, 16))[:2]] == [task.id for task in urgent[2:]]


async def test_an_idle_worker_does_not_look_into_the_store(h: Harness) -> None:
    worker = await h.hire(slots=4)
    await submit_many(h, 8)
    assert len(await take(h, worker, 100)) == 8
    assert (await h.app.claim.receive(worker, 100, 0)).lead_nowhere


async def test_it_stops_looking_when_the_backlog_has_gone(h: Harness) -> None:
    worker, waiting = await a_backlog(h, 5)
    assert len(await take(h, worker, 20)) == len(waiting)
    assert (await h.app.claim.receive(worker, 20, 0)).from_store == 20  # a quarter is still much
    assert await take(h, worker, 20) == []
    assert (await h.app.claim.receive(worker, 20, 0)).lead_nowhere


async def test_it_waits_for_the_broker_again_when_the_backlog_has_gone(h: Harness) -> None:
    worker, _ = await a_backlog(h, 0)
    assert await take(h, worker) == []
    waiting = asyncio.create_task(h.app.claim.receive(worker, 4, 3600))
    await asyncio.sleep(0)
    assert not waiting.done()
    task = await h.submit()
    assert (await waiting).tasks == {task.id}


async def test_nothing_is_taken_from_a_paused_queue(h: Harness) -> None:
    worker, _ = await a_backlog(h)
    await h.app.queues.pause("default")
    assert await take(h, worker) == []


async def test_nothing_is_taken_before_its_time(h: Harness) -> None:
    worker, _ = await a_backlog(h, 0)
    await h.submit(delay=timedelta(minutes=1))
    assert await take(h, worker) == []


async def test_nothing_is_taken_of_queues_that_the_worker_does_not_serve(h: Harness) -> None:
    worker, _ = await a_backlog(h, 0)
    await submit_many(h, 4, "print")
    assert await take(h, worker) == []


async def test_after_a_claim_that_failed_the_broker_alone_is_asked(h: Harness) -> None:
    worker, _ = await a_backlog(h)
    h.store.failing_commit = Unavailable("the store")
    with pytest.raises(Unavailable):
        await take(h, worker)
    assert (await h.app.claim.receive(worker, 4, 0)).lead_nowhere


async def test_nothing_is_taken_by_a_worker_that_was_evicted(h: Harness) -> None:
    worker, waiting = await a_backlog(h)
    h.clock.advance(60)
    await h.app.maintain()
    with pytest.raises(WorkerEvicted):
        await take(h, worker)
    assert await h.task(waiting[0].id) == waiting[0]


async def test_the_urgent_comes_first(h: Harness) -> None:
    worker = await h.hire(slots=4)
    low = await h.submit(priority=Priority.LOW, delay=timedelta(seconds=1))
    high = await h.submit(priority=Priority.HIGH, delay=timedelta(seconds=2))
    await submit_many(h, 8)
    assert len(await take(h, worker, 8)) == 8
    h.clock.advance(3)
    assert [task.id for task in await take(h, worker, 2)] == [high.id, low.id]


async def test_tasks_without_a_handler_here_are_put_off_for_others(h: Harness) -> None:
    worker, waiting = await a_backlog(h, 4)
    assert await take(h, worker, 4, "other") == []
    assert h.measured(TAKEN) == 0
    assert (await h.app.claim.receive(worker, 4, 0)).from_store == 0  # and it leaves the rest alone
    h.clock.advance(5)
    assert [task.id for task in await h.claim(worker)] == [task.id for task in waiting]


async def test_several_workers_take_each_task_once(h: Harness) -> None:
    other = Harness(beside=h)
    mine, _ = await a_backlog(h, 100)
    theirs = await other.hire(slots=4)
    await submit_many(other, 8)
    parts = await asyncio.gather(*(take(*each) for each in [(h, mine), (other, theirs)] * 20))
    claimed = [task.id for part in parts for task in part]
    assert len(claimed) == len(set(claimed)) >= 100


# --- the dispatcher -------------------------------------------------------------------------------


async def test_a_queue_whose_workers_help_themselves_is_dispatched_now_and_then(h: Harness) -> None:
    worker, _ = await a_backlog(h, 30)
    assert (await h.app.dispatch()).count == 8  # for the others
    assert len(await take(h, worker, 16)) == 16
    done = await h.app.dispatch()
    assert (done.count, done.waiting, done.relieved) == (0, True, True)
    assert await h.in_broker() == 6
    h.clock.advance(RELIEF.total_seconds())
    assert (await h.app.dispatch()).count == 2


async def test_the_dispatcher_is_woken_from_a_long_rest_when_workers_begin_to_help_themselves(
    h: Harness,
) -> None:
    worker, _ = await a_backlog(h)
    await h.app.backlog.wait(0)
    await take(h, worker)
    assert await h.app.backlog.wait(0)
    await take(h, worker)
    assert not await h.app.backlog.wait(0)


async def test_a_queue_beside_one_that_is_relieved_is_dispatched_as_it_falls_due(
    h: Harness,
) -> None:
    await h.hire("printer", slots=4)
    worker, _ = await a_backlog(h)
    late = await h.submit("print", delay=timedelta(milliseconds=50))
    await h.app.dispatch()
    await take(h, worker, 10)
    assert (await h.app.dispatch()).relieved
    h.clock.advance(0.05)
    assert (await h.app.dispatch()).count == 1
    assert await h.in_broker("printer") == 1
    assert (await h.task(late.id)).dispatches == 1


async def test_a_busy_queue_beside_one_that_is_relieved_is_kept_filled(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "UNHEARD_FOR", 0)  # what is claimed is the broker's
    other = Harness(beside=h)
    worker, _ = await a_backlog(h, 100)
    printer = await h.hire("printer", slots=4)
    await submit_many(h, 40, "print")
    await h.app.dispatch()
    for _ in range(4):
        await take(h, worker, 10)
        assert len(await take(other, printer, 4)) == 4
        assert await h.in_broker("printer") < 8
        passes = [await h.app.dispatch(), await h.app.dispatch()]
        assert all(each.relieved for each in passes)
        assert await h.in_broker("printer") == 8


async def test_what_was_claimed_before_the_store_went_away_is_run(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> list[Task]:
        raise Unavailable("the store")

    worker, _ = await a_backlog(h)
    await h.app.dispatch()
    monkeypatch.setattr(MemoryTasks, "claim_due", fail)
    claimed = await take(h, worker, 16)
    assert len(claimed) == 2
    assert {(await h.task(task.id)).worker_id for task in claimed} == {worker.id}
    with pytest.raises(Unavailable):
        await h.app.claim.take(worker, h.executor.names, Hints(4, from_store=4))


async def test_who_was_evicted_hears_of_it_although_something_was_claimed(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await h.hire()
    task = await h.submit()
    monkeypatch.setattr("cueline.application.claiming.is_live", lambda _: False)  # meanwhile
    unknown = TaskId("00000000-0000-7000-8000-000000000000")
    hints = Hints(2, frozenset({task.id, unknown}))
    with pytest.raises(WorkerEvicted):
        await h.app.claim.take(worker, h.executor.names, hints)


@pytest.mark.parametrize("queues", [("default",), ("default", "mail")])
async def test_nothing_less_urgent_is_claimed_than_may_be_left_at_the_broker(
    h: Harness, queues: tuple[str, ...]
) -> None:
    worker = await h.hire(*queues)
    await h.broker_goes_away()
    high, low = [await h.submit(priority=each) for each in (Priority.HIGH, Priority.LOW)]
    hints = Hints(4, from_store=4, urgency=Priority.NORMAL)
    claimed = await h.app.claim.take(worker, h.executor.names, hints)
    assert [task.id for task in claimed] == [high.id]
    assert await h.task(low.id) == low


async def test_a_task_whose_queue_was_paused_meanwhile_is_due_again(h: Harness) -> None:
    worker = await h.hire()
    task = await h.submit()
    assert (handed := (await h.task(task.id)).dispatch_at) is not None
    assert handed > h.clock.now()
    await h.app.queues.pause("default")
    assert await take(h, worker) == []
    assert (await h.task(task.id)).dispatch_at == h.clock.now()
