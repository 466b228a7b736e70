from __future__ import annotations

import pytest
from fastapi import FastAPI

from cueline.application.outcomes import Succeeded
from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import PermanentError
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.stream import Told, following


def events_of(task: Task) -> str:
    return f"/api/v1/tasks/{task.id}/events"


def a_line(harness: Harness, task: Task, level: str = "info", **fields: Json) -> LogEntry:
    return LogEntry(task.id, task.attempt, harness.clock.now(), level, "said", fields)


def states(told: list[Told]) -> list[tuple[str, str | None]]:
    return [(each.data["state"], each.id) for each in told if each.event == "status"]


async def test_a_stream_tells_each_state_and_the_end(api: FastAPI, harness: Harness) -> None:
    task = await harness.submit("send", {"order": 7})

    async with following(api, events_of(task)) as stream:
        first = await stream.next()
        claimed = await harness.claim_one()
        second = await stream.next()
        await harness.settle(Succeeded(claimed, {"sent": True}))
        rest = await stream.rest()

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store"
    assert first == Told(
        "status", {"state": "queued", "attempt": 0, "version": 1, "error": None}, "1"
    )
    assert second == Told(
        "status", {"state": "running", "attempt": 1, "version": 2, "error": None}, "2"
    )
    assert rest == [
        Told("status", {"state": "succeeded", "attempt": 1, "version": 3, "error": None}, "3"),
        Told("complete", {"id": task.id, "state": "succeeded", "output": {"sent": True}}, "3"),
    ]


async def test_a_start_that_is_over_before_anyone_looks_is_told_all_the_same(
    api: FastAPI, harness: Harness
) -> None:
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        await harness.work()
        rest = await stream.rest()

    assert states(rest) == [("running", "2"), ("succeeded", "3")]


async def test_a_failure_and_its_retry_are_told(api: FastAPI, harness: Harness) -> None:
    harness.on("send", _fail)
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        await harness.work()
        assert (await stream.next()).data["state"] == "running"
        again = await stream.next()
        await harness.work_for(60)
        end = await stream.until("error")

    assert again.data["state"] == "scheduled"
    assert again.data["error"] == "ValueError: not now"
    assert end.data["state"] == "failed"
    assert end.data["error"]["message"] == "not now"


async def test_log_and_progress_are_told_as_they_come(api: FastAPI, harness: Harness) -> None:
    await harness.submit()
    claimed = await harness.claim_one()

    async with following(api, events_of(claimed)) as stream:
        await stream.next()
        await harness.app.record([a_line(harness, claimed, "warning", disk="full")])
        line = await stream.next()
        await harness.app.record([a_line(harness, claimed, "progress", percent=40.0)])
        progress = await stream.next()

    assert line.event == "log"
    assert line.data["level"] == "warning"
    assert line.data["message"] == "said"
    assert line.data["fields"] == {"disk": "full"}
    assert progress.event == "progress"
    assert progress.data["percent"] == 40.0


async def test_the_log_so_far_is_told_first(api: FastAPI, harness: Harness) -> None:
    await harness.submit()
    claimed = await harness.claim_one()
    await harness.app.record([a_line(harness, claimed, n=n) for n in range(1200)])

    async with following(api, events_of(claimed)) as stream:
        assert (await stream.next()).event == "status"
        lines = [await stream.next() for _ in range(1200)]

    assert [line.data["fields"]["n"] for line in lines] == list(range(1200))


async def test_the_last_lines_come_before_the_end(api: FastAPI, harness: Harness) -> None:
    await harness.submit()
    claimed = await harness.claim_one()

    async with following(api, events_of(claimed)) as stream:
        await stream.next()
        await harness.app.settle([Succeeded(claimed, None)], [a_line(harness, claimed)])
        rest = await stream.rest()

    assert [told.event for told in rest] == ["log", "status", "complete"]


# --- ended, resumed -------------------------------------------------------------------------------


@pytest.mark.parametrize("last_event_id", [None, "1", "3", "999"])
async def test_a_task_that_has_ended_answers_with_its_end_at_once(
    rest: Client, harness: Harness, last_event_id: str | None
) -> None:
    await harness.submit()
    claimed = await harness.claim_one()
    await harness.app.settle([Succeeded(claimed, 7)], [a_line(harness, claimed)])
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}

    answer = await rest.get(events_of(claimed), headers=headers)

    assert answer.status_code == 200
    assert answer.text.count("event: status") == (0 if last_event_id == "3" else 1)
    assert answer.text.count("event: complete") == 1
    assert "event: log" not in answer.text
    assert answer.text.endswith("\n\n")


async def test_a_cancelled_task_ends_with_an_error(rest: Client, harness: Harness) -> None:
    task = await harness.submit()
    await harness.app.tasks.cancel([task.id])

    answer = await rest.get(events_of(task))

    assert "event: error" in answer.text
    assert '"state":"cancelled"' in answer.text


async def test_a_stream_resumes_after_the_last_state_that_was_heard(
    api: FastAPI, harness: Harness
) -> None:
    await harness.submit()
    claimed = await harness.claim_one()

    async with following(api, events_of(claimed), last_event_id="2") as stream:
        await harness.settle(Succeeded(claimed, None))
        rest = await stream.rest()

    assert states(rest) == [("succeeded", "3")]


async def test_a_stream_resumes_after_the_last_line_that_was_heard(
    api: FastAPI, harness: Harness
) -> None:
    await harness.submit()
    claimed = await harness.claim_one()
    await harness.app.record([a_line(harness, claimed, n=n) for n in range(3)])
    async with following(api, events_of(claimed)) as stream:
        heard = [await stream.next() for _ in range(3)]

    async with following(api, events_of(claimed), last_event_id=heard[-1].id) as stream:
        missed = await stream.next()

    assert heard[-1].data["fields"] == {"n": 1}
    assert missed.event == "log"
    assert missed.data["fields"] == {"n": 2}


async def test_what_was_logged_while_a_client_was_away_comes_before_the_end(
    api: FastAPI, harness: Harness
) -> None:
    await harness.submit()
    claimed = await harness.claim_one()
    await harness.app.record([a_line(harness, claimed, n=0)])
    async with following(api, events_of(claimed)) as stream:
        line = await stream.until("log")
    await harness.app.record([a_line(harness, claimed, n=1)])
    await harness.settle(Succeeded(claimed, None))

    async with following(api, events_of(claimed), last_event_id=line.id) as stream:
        rest = await stream.rest()

    assert [told.event for told in rest] == ["log", "status", "complete"]


async def test_an_id_that_the_task_never_had_does_not_hide_its_states(
    api: FastAPI, harness: Harness
) -> None:
    task = await harness.submit()

    async with following(api, events_of(task), last_event_id="999") as stream:
        assert (await stream.next()).id == "1"


def _fail(task: Task) -> Json:
    if task.attempt < 2:
        raise ValueError("not now")
    raise PermanentError("not now")
