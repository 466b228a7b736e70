from __future__ import annotations

import pytest

from cueline.application.ports.persistence import LogEntry
from cueline.domain.errors import PermanentError
from cueline.domain.identifiers import TaskId
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


async def test_an_id_may_be_written_in_capitals(rest: Client, harness: Harness) -> None:
    task = await harness.submit()

    assert (await rest.read(f"{TASKS}/{task.id.upper()}"))["id"] == task.id


# --- listing --------------------------------------------------------------------------------------


async def test_tasks_are_listed_newest_first_in_pages(rest: Client, harness: Harness) -> None:
    ids = [(await harness.submit()).id for _ in range(5)]

    first = await rest.read(TASKS, params={"limit": 2})
    second = await rest.read(TASKS, params={"limit": 2, "cursor": first["next"]})
    third = await rest.read(TASKS, params={"limit": 2, "cursor": second["next"]})

    pages = [[item["id"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert third["next"] is None


async def test_a_last_page_that_is_full_leads_nowhere(rest: Client, harness: Harness) -> None:
    for _ in range(2):
        await harness.submit()

    assert (await rest.read(TASKS, params={"limit": 2}))["next"] is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["queued"], {"ready"}),
        (["scheduled"], {"later"}),
        (["queued", "scheduled"], {"ready", "later"}),
        (["running"], {"claimed"}),
        (["queued", "running"], {"ready", "claimed"}),
        (["succeeded"], {"done"}),
        (["failed"], {"broken"}),
        (["cancelled"], {"dropped"}),
        (["failed", "cancelled"], {"broken", "dropped"}),
        ([], {"ready", "later", "claimed", "done", "broken", "dropped"}),
    ],
)
async def test_tasks_are_listed_by_state(
    rest: Client, harness: Harness, states: list[str], expected: set[str]
) -> None:
    await _one_of_each_state(harness)

    listed = await rest.read(TASKS, params={"state": states})

    assert {item["tags"][0] for item in listed["items"]} == expected
    if len(states) == 1:
        assert {item["state"] for item in listed["items"]} == set(states)


async def test_scheduled_cannot_be_listed_along_with_later_states(rest: Client) -> None:
    answer = await rest.get(TASKS, params={"state": ["scheduled", "running"]})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == "state"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [({"queue": "email"}, {0, 1}), ({"name": "print"}, {2}), ({"tag": "eu"}, {1, 2})],
)
async def test_tasks_are_listed_by_queue_name_and_tag(
    rest: Client, harness: Harness, filter: dict[str, str], expected: set[int]
) -> None:
    await harness.submit("send", {"n": 0}, queue="email", tags=("us",))
    await harness.submit("send", {"n": 1}, queue="email", tags=("eu", "us"))
    await harness.submit("print", {"n": 2}, tags=("eu",))

    listed = await rest.read(TASKS, params=filter)

    assert {item["input"]["n"] for item in listed["items"]} == expected


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


async def _one_of_each_state(harness: Harness) -> None:
    harness.on("print", _fail_for_good)
    await harness.submit("send", tags=("done",))
    await harness.submit("print", queue="default", tags=("broken",))
    await harness.work()
    await harness.submit("send", tags=("claimed",))
    await harness.claim_one()
    dropped = await harness.submit("send", tags=("dropped",))
    await harness.app.tasks.cancel([TaskId(dropped.id)])
    await harness.submit("send", tags=("ready",))
    later = harness.clock.advance(0).replace(year=2027)
    await harness.submit("send", tags=("later",), run_at=later)
