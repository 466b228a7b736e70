from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI

from cueline.application.outcomes import Succeeded
from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import NotFound, Unavailable
from cueline.domain.events import Event, Subject
from cueline.domain.json import Json
from cueline.domain.task import Task
from cueline.interfaces.rest import create_api
from cueline.interfaces.rest.edge import Pace
from tests.harness import Harness, is_watched
from tests.unit.interfaces.rest.stream import Told, comes_true, following

LOOKING = Pace(look=0.005, heartbeat=3600)
BEATING = Pace(look=3600, heartbeat=0.005)


def events_of(task: Task) -> str:
    return f"/api/v1/tasks/{task.id}/events"


def a_line(harness: Harness, task: Task, level: str = "info", **fields: Json) -> LogEntry:
    return LogEntry(task.id, task.attempt, harness.clock.now(), level, "said", fields)


def states(told: list[Told]) -> list[tuple[str, str | None]]:
    return [(each.data["state"], each.id) for each in told if each.event == "status"]


async def test_what_another_process_does_is_seen_by_looking(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=LOOKING)
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        async with harness.store.write() as uow:  # nobody announces it
            await uow.tasks.save_many([task.cancel(harness.clock.now())])
            await uow.journal.add_logs([a_line(harness, task)])
            await uow.commit()
        rest = await stream.rest()

    assert [told.event for told in rest] == ["log", "status", "error"]


async def test_a_silent_stream_shows_that_it_lives(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=BEATING)
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        beats = [await stream.next() for _ in range(3)]

    assert beats == [Told("heartbeat", {"at": "2026-03-01T12:00:00Z"}, None)] * 3


async def test_a_stream_outlives_an_outage_of_the_store(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=replace(BEATING, look=0.005))
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        harness.store.failing_read = Unavailable("the store")
        await stream.until("heartbeat")
        await stream.until("heartbeat")
        harness.store.failing_read = None
        await harness.app.tasks.cancel([task.id])
        end = await stream.until("error")

    assert end.data["state"] == "cancelled"


async def test_a_stream_ends_when_its_task_is_gone(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=LOOKING)
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        harness.store.failing_read = NotFound("task", task.id)
        rest = await stream.rest()

    assert rest == []


async def test_a_stream_goes_on_when_the_event_bus_fails(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = create_api(lambda: harness.app, pace=LOOKING)
    task = await harness.submit()
    monkeypatch.setattr(harness.bus, "subscribe", lambda _: _broken_bus())

    async with following(api, events_of(task)) as stream:
        await stream.next()
        await harness.work()
        rest = await stream.rest()

    assert states(rest)[-1] == ("succeeded", "3")


async def test_a_stream_goes_on_without_the_event_bus(harness: Harness) -> None:
    api = create_api(lambda: harness.app, pace=LOOKING)
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        await harness.bus.close()
        await harness.work()
        rest = await stream.rest()

    assert states(rest)[-1] == ("succeeded", "3")


async def test_old_news_is_not_told_again(api: FastAPI, harness: Harness) -> None:
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        claimed = await harness.claim_one()
        await stream.next()
        late = Event(Subject.TASK, task.id, 2, "status", harness.clock.now(), {"state": "running"})
        await harness.bus.publish([late, late])
        await harness.settle(Succeeded(claimed, None))
        rest = await stream.rest()

    assert states(rest) == [("succeeded", "3")]


async def test_a_client_that_goes_leaves_nothing_behind(api: FastAPI, harness: Harness) -> None:
    before = asyncio.all_tasks()
    task = await harness.submit()

    async with following(api, events_of(task)) as stream:
        await stream.next()
        assert is_watched(harness)

    assert not is_watched(harness)
    assert asyncio.all_tasks() == before


async def test_an_error_of_ours_ends_the_stream_and_leaves_nothing_behind(
    harness: Harness,
) -> None:
    api = create_api(lambda: harness.app, pace=LOOKING)
    task = await harness.submit()

    async def follow() -> None:
        async with following(api, events_of(task)) as stream:
            await stream.next()
            harness.store.failing_read = RuntimeError("a bug")
            await comes_true(lambda: not harness.bus.is_watched)

    with pytest.raises(RuntimeError, match="a bug"):
        await follow()


def test_the_standard_pace_is_a_look_each_second_and_a_heartbeat_each_fifteen() -> None:
    assert timedelta(seconds=Pace().look) == timedelta(seconds=1)
    assert timedelta(seconds=Pace().heartbeat) == timedelta(seconds=15)


@asynccontextmanager
async def _broken_bus() -> AsyncIterator[AsyncIterator[Event]]:
    class Broken(AsyncIterator[Event]):
        async def __anext__(self) -> Event:
            raise Unavailable("the event bus")

    yield Broken()
