from __future__ import annotations

import asyncio

from fastapi import FastAPI

from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import NotFound, PermanentError, Unavailable
from cueline.domain.json import Json
from cueline.domain.task import Task
from cueline.domain.workflow.document import parse_workflow
from cueline.domain.workflow.run import Run
from cueline.interfaces.rest import create_api
from cueline.interfaces.rest.edge import Pace
from tests.harness import Harness, is_watched
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.documents import an_order
from tests.unit.interfaces.rest.stream import Told, following

HISTORY = [
    "run.started",
    "step.started",
    "step.succeeded",
    "step.started",
    "step.succeeded",
    "run.succeeded",
]


async def a_run(harness: Harness) -> Run:
    return await harness.start(parse_workflow(an_order()), {"order": 7})


def events_of(run: Run) -> str:
    return f"/api/v1/runs/{run.id}/events"


def types(told: list[Told]) -> list[str]:
    return [each.data["type"] for each in told if each.event == "status"]


async def test_a_stream_tells_the_history_as_it_grows_and_the_end(
    api: FastAPI, harness: Harness
) -> None:
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        first = [await stream.next(), await stream.next()]
        await harness.work()
        rest = await stream.rest()

    told = first + rest
    assert types(told) == HISTORY
    assert [each.id for each in told[:-1]] == ["1", "2", "3", "4", "5", "6"]
    assert told[1].data["data"] == {"step": "reserve"}
    assert told[-1].event == "complete"
    assert told[-1].data["output"] == {"charged": {"order": 7}}


async def test_a_stream_resumes_after_the_last_event_that_was_heard(
    api: FastAPI, harness: Harness
) -> None:
    run = await a_run(harness)

    async with following(api, events_of(run), last_event_id="2") as stream:
        await harness.work()
        rest = await stream.rest()

    assert types(rest) == HISTORY[2:]


async def test_a_run_that_has_ended_tells_what_was_missed_and_its_end(
    rest: Client, harness: Harness
) -> None:
    run = await a_run(harness)
    await harness.work()

    whole = (await rest.get(events_of(run))).text
    missed = (await rest.get(events_of(run), headers={"Last-Event-ID": "4"})).text
    nothing = (await rest.get(events_of(run), headers={"Last-Event-ID": "6"})).text

    assert whole.count("event: status") == 6
    assert missed.count("event: status") == 2
    assert nothing.count("event: status") == 0
    assert all(text.count("event: complete") == 1 for text in (whole, missed, nothing))


async def test_an_id_that_the_run_never_had_begins_anew(rest: Client, harness: Harness) -> None:
    run = await a_run(harness)
    await harness.work()

    answer = await rest.get(events_of(run), headers={"Last-Event-ID": "999"})

    assert answer.text.count("event: status") == 6


async def test_a_long_history_is_told_whole(api: FastAPI, harness: Harness) -> None:
    run = await a_run(harness)
    for _ in range(600):
        await harness.app.runs.pause(run.id)
        await harness.app.runs.resume(run.id)

    async with following(api, events_of(run)) as stream:
        told = [await stream.next() for _ in range(1202)]

    assert [int(each.id or 0) for each in told] == list(range(1, 1203))


async def test_a_run_that_was_undone_ends_with_an_error(api: FastAPI, harness: Harness) -> None:
    harness.on("charge", _refuse)
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        await harness.work()
        rest = await stream.rest()

    assert types(rest)[-1] == "run.compensated"
    assert rest[-1].event == "error"
    assert rest[-1].data["state"] == "compensated"
    assert rest[-1].data["error"]["message"] == "no money"


async def test_a_run_that_failed_once_and_goes_on_is_not_over(
    api: FastAPI, harness: Harness
) -> None:
    harness.on("reserve", _refuse)
    run = await a_run(harness)
    await harness.work()
    harness.on("reserve", lambda task: dict(task.spec.input))
    await harness.app.runs.retry(run.id)

    async with following(api, events_of(run)) as stream:
        await harness.work()
        rest = await stream.rest()

    assert "run.failed" in types(rest)
    assert rest[-1].event == "complete"


async def test_the_progress_of_a_step_is_told(api: FastAPI, harness: Harness) -> None:
    run = await a_run(harness)
    claimed = await harness.claim_one()

    async with following(api, events_of(run)) as stream:
        await harness.app.record(
            [LogEntry(claimed.id, 1, harness.clock.now(), "progress", "half", {"percent": 50.0})]
        )
        progress = await stream.until("progress")

    assert progress.data["step"] == "reserve"
    assert progress.data["percent"] == 50.0
    assert progress.data["message"] == "half"
    assert progress.id is None


async def test_what_another_process_does_is_seen_by_looking(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=Pace(look=0.005, heartbeat=3600))
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        await stream.next()
        await harness.bus.close()
        await harness.work()
        rest = await stream.rest()

    assert rest[-1].event == "complete"


async def test_a_silent_stream_shows_that_it_lives_even_without_the_store(
    harness: Harness,
) -> None:
    api = create_api(lambda: harness.app, pace=Pace(look=0.005, heartbeat=0.01))
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        await stream.until("heartbeat")
        harness.store.failing_read = Unavailable("the store")
        await stream.until("heartbeat")
        await stream.until("heartbeat")
        harness.store.failing_read = None
        await harness.work()
        rest = await stream.rest()

    assert rest[-1].event == "complete"


async def test_a_stream_ends_when_its_run_is_gone(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=Pace(look=0.005, heartbeat=3600))
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        await stream.next()
        await stream.next()
        harness.store.failing_read = NotFound("run", run.id)
        rest = await stream.rest()

    assert rest == []


async def test_a_client_that_goes_leaves_nothing_behind(api: FastAPI, harness: Harness) -> None:
    before = asyncio.all_tasks()
    run = await a_run(harness)

    async with following(api, events_of(run)) as stream:
        await stream.next()
        assert is_watched(harness)

    assert not is_watched(harness)
    assert asyncio.all_tasks() == before


def _refuse(_: Task) -> Json:
    raise PermanentError("no money")
