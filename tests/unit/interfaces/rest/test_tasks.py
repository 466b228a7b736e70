from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import PermanentError
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.factories import a_step, a_workflow
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client

TASKS = "/api/v1/tasks"


async def test_a_task_is_shown_with_all_its_fields(rest: Client, harness: Harness) -> None:
    task = await harness.submit("send", {"order": 7}, key="k", tags=("shop",))
    await harness.work()

    shown = await rest.read(f"{TASKS}/{task.id}")

    now = "2026-03-01T12:00:00Z"
    assert shown.pop("links")["self"] == f"{TASKS}/{task.id}"
    assert shown.pop("worker_id")
    assert shown == {
        "id": task.id,
        "name": "send",
        "queue": "default",
        "priority": "normal",
        "state": "succeeded",
        "input": {"order": 7},
        "output": {"order": 7},
        "error": None,
        "attempt": 1,
        "failures": 0,
        "attempts_allowed": 3,
        "run_at": now,
        "created_at": now,
        "started_at": now,
        "ended_at": now,
        "key": "k",
        "tags": ["shop"],
        "timeout": None,
        "retry": {
            "attempts": 3,
            "backoff": "exponential",
            "first": "10s",
            "factor": 2.0,
            "cap": "1h",
            "jitter": 0.0,
            "permanent": [],
        },
        "run": None,
        "progress": None,
        "version": 3,
    }


async def test_a_failed_task_is_shown_with_its_error(rest: Client, harness: Harness) -> None:
    harness.on("send", _fail_for_good)
    task = await harness.submit()
    await harness.work()

    shown = await rest.read(f"{TASKS}/{task.id}")

    assert shown["state"] == "failed"
    assert shown["error"]["type"] == "cueline.domain.errors.PermanentError"
    assert shown["error"]["message"] == "no such address"
    assert "_fail_for_good" in shown["error"]["traceback"]


async def test_a_step_of_a_run_is_shown_with_its_run(rest: Client, harness: Harness) -> None:
    run = await harness.start(a_workflow(steps=[a_step("reserve", task="reserve")]))

    [shown] = (await rest.read(TASKS, params={"run": run.id}))["items"]

    assert shown["run"] == {"id": run.id, "step": "reserve", "purpose": "work"}
    assert shown["links"]["run"] == f"/api/v1/runs/{run.id}"


async def test_the_latest_progress_is_shown(rest: Client, harness: Harness) -> None:
    task = await harness.submit()
    await harness.app.record([_line(harness, task, "progress", percent=p) for p in (10.0, 40.0)])

    shown = await rest.read(f"{TASKS}/{task.id}")

    assert shown["progress"] == {"percent": 40.0, "message": "said", "at": "2026-03-01T12:00:00Z"}


async def test_a_run_time_from_another_time_zone_is_shown_in_utc(
    rest: Client, harness: Harness
) -> None:
    elsewhere = timezone(timedelta(hours=2))
    task = await harness.submit(run_at=datetime(2027, 1, 1, 2, tzinfo=elsewhere))

    assert (await rest.read(f"{TASKS}/{task.id}"))["run_at"] == "2027-01-01T00:00:00Z"


async def test_an_id_may_be_written_in_capitals(rest: Client, harness: Harness) -> None:
    task = await harness.submit()

    assert (await rest.read(f"{TASKS}/{task.id.upper()}"))["id"] == task.id


# --- what belongs to a task -----------------------------------------------------------------------


async def test_attempts_are_listed_with_the_present_one_last(
    rest: Client, harness: Harness
) -> None:
    harness.on("send", _fail)
    task = await harness.submit()
    await harness.work()
    harness.clock.advance(60)
    await harness.claim_one()

    items = (await rest.read(f"{TASKS}/{task.id}/attempts"))["items"]

    assert [(item["number"], item["outcome"]) for item in items] == [(1, "failed"), (2, "running")]
    assert items[0]["error"]["message"] == "not now"
    assert items[1]["error"] is None
    assert items[1]["ended_at"] is None


async def test_the_log_is_read_in_pages(rest: Client, harness: Harness) -> None:
    task = await harness.submit()
    await harness.app.record([_line(harness, task, "info", n=n) for n in range(3)])

    first = await rest.read(f"{TASKS}/{task.id}/logs", params={"limit": 2})
    second = await rest.read(
        f"{TASKS}/{task.id}/logs", params={"limit": 2, "cursor": first["next"]}
    )

    lines = first["items"] + second["items"]
    assert [line["fields"]["n"] for line in lines] == [0, 1, 2]
    assert lines[0]["level"] == "info"
    assert lines[0]["message"] == "said"
    assert second["next"] is None


async def test_a_task_is_explained(rest: Client, harness: Harness) -> None:
    task = await harness.submit()

    shown = await rest.read(f"{TASKS}/{task.id}/explain")

    assert shown["id"] == task.id
    assert shown["reasons"] == ["No live worker serves queue 'default'."]


@pytest.mark.parametrize("rest_of_path", ["", "/attempts", "/logs", "/explain", "/events"])
async def test_what_is_asked_of_an_unknown_task_is_not_found(
    rest: Client, harness: Harness, rest_of_path: str
) -> None:
    answer = await rest.get(f"{TASKS}/{harness.ids.new()}{rest_of_path}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:cueline:problem:not-found"


# --- steering -------------------------------------------------------------------------------------


async def test_a_task_is_cancelled(rest: Client, harness: Harness) -> None:
    task = await harness.submit()

    answer = await rest.post(f"{TASKS}/{task.id}/cancel")

    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    assert await harness.work() == []


async def test_a_running_task_is_cancelled_and_its_result_refused(
    rest: Client, harness: Harness
) -> None:
    await harness.submit()
    claimed = await harness.claim_one()

    await rest.make(f"{TASKS}/{claimed.id}/cancel")
    settled = await harness.settle(await harness.perform(claimed))

    assert settled.refused == {claimed.id}


async def test_a_failed_task_is_given_a_new_life(rest: Client, harness: Harness) -> None:
    harness.on("send", _fail_for_good)
    task = await harness.submit()
    await harness.work()

    answer = await rest.post(f"{TASKS}/{task.id}/retry")

    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"
    assert answer.json()["failures"] == 0


async def test_a_scheduled_task_is_run_now(rest: Client, harness: Harness) -> None:
    receipt = await rest.make(TASKS, {"name": "send", "delay": "1h"})

    answer = await rest.post(f"{TASKS}/{receipt['id']}/promote")

    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"
    assert [task.id for task in await harness.work()] == [receipt["id"]]


@pytest.mark.parametrize("action", ["cancel", "retry", "promote"])
async def test_what_the_state_does_not_allow_is_a_conflict(
    rest: Client, harness: Harness, action: str
) -> None:
    task = await harness.submit()
    await harness.work()

    answer = await rest.post(f"{TASKS}/{task.id}/{action}")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:cueline:problem:illegal-transition"
    assert "succeeded" in answer.json()["detail"]


async def test_the_task_of_a_step_cannot_be_retried_alone(rest: Client, harness: Harness) -> None:
    harness.on("reserve", _fail_for_good)
    await harness.start(a_workflow(steps=[a_step("reserve", task="reserve")]))
    [task] = await harness.work()

    answer = await rest.post(f"{TASKS}/{task.id}/retry")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:cueline:problem:conflict"


@pytest.mark.parametrize("action", ["cancel", "retry", "promote"])
async def test_steering_an_unknown_task_is_not_found(
    rest: Client, harness: Harness, action: str
) -> None:
    answer = await rest.post(f"{TASKS}/{harness.ids.new()}/{action}")

    assert answer.status_code == 404


def _fail(_: Task) -> Json:
    raise ValueError("not now")


def _fail_for_good(_: Task) -> Json:
    raise PermanentError("no such address")


def _line(harness: Harness, task: Task, level: str, **fields: Json) -> LogEntry:
    return LogEntry(task.id, 1, harness.clock.now(), level, "said", fields)
