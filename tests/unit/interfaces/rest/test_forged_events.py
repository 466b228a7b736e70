"""What comes over the event bus may be forged: a stream tells no more than the store holds."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from cueline.application.outcomes import Succeeded
from cueline.domain.events import Event, Subject
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.harness import Harness
from tests.unit.interfaces.rest.stream import following


async def forge(harness: Harness, task: Task, sequence: int, attempt: Json = 1) -> None:
    data: dict[str, Json] = {"state": "running", "attempt": attempt, "error": "forged"}
    event = Event(Subject.TASK, task.id, sequence, "status", harness.clock.now(), data)
    await harness.bus.publish([event])


async def test_an_event_of_the_far_future_is_not_told_and_hides_nothing(
    api: FastAPI, harness: Harness
) -> None:
    task = await harness.submit()

    async with following(api, f"/api/v1/tasks/{task.id}/events") as stream:
        await stream.next()
        await forge(harness, task, 2**40)
        claimed = await harness.claim_one()
        running = await stream.next()
        await harness.settle(Succeeded(claimed, None))
        rest = await stream.rest()

    assert (running.id, running.data["error"]) == ("2", None)
    assert [told.id for told in rest] == ["3", "3"]


@pytest.mark.parametrize("attempt", [0, 1, 7, "one", None])
async def test_an_attempt_that_never_was_is_not_told(
    api: FastAPI, harness: Harness, attempt: Json
) -> None:
    task = await harness.submit()

    async with following(api, f"/api/v1/tasks/{task.id}/events") as stream:
        await stream.next()
        await forge(harness, task, 2, attempt)
        await harness.app.tasks.promote([task.id])
        await harness.app.tasks.cancel([task.id])
        rest = await stream.rest()

    assert "running" not in [told.data["state"] for told in rest]
    assert rest[-1].data["state"] == "cancelled"


async def test_of_a_start_only_the_version_is_believed(api: FastAPI, harness: Harness) -> None:
    task = await harness.submit()

    async with following(api, f"/api/v1/tasks/{task.id}/events") as stream:
        await stream.next()
        await forge(harness, task, 2)
        await harness.work()
        rest = await stream.rest()

    assert "forged" not in str(rest)
    assert [told.data["state"] for told in rest] == ["running", "succeeded", "succeeded"]
