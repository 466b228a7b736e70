"""Explaining a task in sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.context import Snooze
from cueline.domain.errors import NotFound
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.factories import a_task_id
from tests.harness import Harness


def fail(task: Task) -> Json:
    """A handler that never succeeds."""
    raise ValueError("no stock")


async def explained(h: Harness, task: Task) -> str:
    """The explanation as one text."""
    return " ".join(await h.app.queries.explain(task.id))


async def test_a_task_without_a_worker_says_so(h: Harness) -> None:
    task = await h.submit()
    assert await explained(h, task) == "No live worker serves queue 'default'."


async def test_a_lapsed_worker_does_not_count(h: Harness) -> None:
    await h.hire()
    h.clock.advance(60)
    task = await h.submit()
    assert "No live worker" in await explained(h, task)


async def test_a_scheduled_task_says_when(h: Harness) -> None:
    await h.hire()
    task = await h.submit(delay=timedelta(minutes=5))
    assert await explained(h, task) == "It is scheduled to run in 5m."


async def test_a_task_that_waits_for_its_retry_says_why_and_when(h: Harness) -> None:
    h.on("send", fail)
    task = await h.submit("send")
    await h.work()
    expected = "Attempt 1 failed with ValueError: no stock; it is retried in 10s."
    assert await explained(h, task) == expected


async def test_a_snoozed_task_says_when(h: Harness) -> None:
    def snooze(task: Task) -> Json:
        raise Snooze("2h")

    h.on("send", snooze)
    task = await h.submit("send")
    await h.work()
    assert "in 2h" in await explained(h, task)


async def test_a_paused_queue_is_named(h: Harness) -> None:
    await h.hire()
    await h.app.queues.pause("default")
    assert await explained(h, await h.submit()) == "Queue 'default' is paused."


async def test_busy_workers_are_counted(h: Harness) -> None:
    await h.hire(slots=1)
    await h.submit()
    await h.claim()
    task = await h.submit()
    assert "All 1 slots of the workers serving 'default' are busy." in await explained(h, task)


async def test_a_task_with_the_broker_says_so(h: Harness) -> None:
    await h.hire()
    assert "handed out" in await explained(h, await h.submit())


async def test_a_task_for_which_the_broker_has_no_room_yet_says_so(h: Harness) -> None:
    await h.hire(slots=1)
    tasks = [await h.submit() for _ in range(3)]
    assert "waits in the store" in await explained(h, tasks[2])


async def test_a_running_task_says_where_and_since_when(h: Harness) -> None:
    await h.submit(timeout=timedelta(minutes=1))
    claimed = await h.claim_one()
    h.clock.advance(7)
    text = await explained(h, claimed)
    assert f"Attempt 1 has been running on {claimed.worker_id} for 7s." in text
    assert "timed out after 1m" in text


async def test_a_dead_task_says_why_and_what_to_do(h: Harness) -> None:
    h.on("send", fail)
    task = await h.submit("send")
    await h.work_for(60)
    text = await explained(h, task)
    assert "It failed for good with ValueError: no stock." in text
    assert "3 of 3 attempts were charged." in text
    assert "Retry it" in text


async def test_ended_tasks_say_how(h: Harness) -> None:
    done = await h.submit("reserve")
    await h.work()
    cancelled = await h.submit()
    await h.app.tasks.cancel([cancelled.id])
    assert await explained(h, done) == "Attempt 1 succeeded."
    assert "cancelled" in await explained(h, cancelled)


async def test_an_unknown_task_cannot_be_explained(h: Harness) -> None:
    with pytest.raises(NotFound):
        await h.app.queries.explain(a_task_id())
