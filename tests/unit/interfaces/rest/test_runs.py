from __future__ import annotations

from typing import Any

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import PermanentError
from cueline.domain.identifiers import RunId
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.documents import an_order

RUNS = "/api/v1/runs"
NOW = "2026-03-01T12:00:00Z"


async def a_run(rest: Client, **changes: Any) -> str:
    receipt = await rest.make(RUNS, {"workflow": an_order(**changes), "input": {"order": 7}})
    id: str = receipt["id"]
    return id


async def test_a_run_is_shown_with_each_of_its_steps(rest: Client, harness: Harness) -> None:
    id = await a_run(rest)
    claimed = await harness.claim_one()
    entry = LogEntry(claimed.id, 1, harness.clock.now(), "progress", "half", {"percent": 50.0})
    await harness.app.record([entry])

    shown = await rest.read(f"{RUNS}/{id}")

    assert shown["state"] == "running"
    assert shown["input"] == {"order": 7}
    assert shown["output"] is None
    assert shown["error"] is None
    assert shown["created_at"] == NOW
    assert shown["ended_at"] is None
    assert shown["step_count"] == {"succeeded": 0, "total": 2}
    assert shown["steps"] == {
        "reserve": {
            "state": "running",
            "task_id": claimed.id,
            "attempts": 1,
            "output": None,
            "error": None,
            "started_at": NOW,
            "ended_at": None,
            "progress": {"percent": 50.0, "message": "half", "at": NOW},
        },
        "charge": {
            "state": "waiting",
            "task_id": None,
            "attempts": 0,
            "output": None,
            "error": None,
            "started_at": None,
            "ended_at": None,
            "progress": None,
        },
    }


async def test_a_run_that_succeeded_shows_its_outputs(rest: Client, harness: Harness) -> None:
    id = await a_run(rest)
    await harness.work()

    shown = await rest.read(f"{RUNS}/{id}")

    assert shown["state"] == "succeeded"
    assert shown["output"] == {"charged": {"order": 7}}
    assert shown["steps"]["charge"]["output"] == {"order": 7}
    assert shown["ended_at"] == NOW


async def test_a_run_that_was_undone_shows_its_error(rest: Client, harness: Harness) -> None:
    harness.on("charge", _refuse)
    id = await a_run(rest)
    await harness.work()

    shown = await rest.read(f"{RUNS}/{id}")

    assert shown["state"] == "compensated"
    assert shown["error"]["message"] == "no money"
    assert shown["steps"]["reserve"]["state"] == "compensated"
    assert shown["steps"]["charge"]["error"]["message"] == "no money"


async def test_runs_are_listed_newest_first_in_pages(rest: Client) -> None:
    ids = [await a_run(rest) for _ in range(3)]

    first = await rest.read(RUNS, params={"limit": 2})
    second = await rest.read(RUNS, params={"limit": 2, "cursor": first["next"]})

    assert [run["id"] for run in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None


async def test_runs_are_listed_by_state_and_workflow(rest: Client, harness: Harness) -> None:
    done = await a_run(rest)
    await harness.work()
    other = await a_run(rest, name="other")
    paused = await a_run(rest)
    await rest.make(f"{RUNS}/{paused}/pause")

    async def listed(**wanted: Any) -> set[str]:
        return {run["id"] for run in (await rest.read(RUNS, params=wanted))["items"]}

    assert await listed(state="succeeded") == {done}
    assert await listed(state=["paused", "running"]) == {paused, other}
    assert await listed(workflow="other") == {other}


async def test_the_history_of_a_run_is_read_in_pages(rest: Client, harness: Harness) -> None:
    id = await a_run(rest)
    await harness.work()

    first = await rest.read(f"{RUNS}/{id}/history", params={"limit": 4})
    second = await rest.read(f"{RUNS}/{id}/history", params={"limit": 4, "cursor": first["next"]})

    entries = first["items"] + second["items"]
    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[0] == {
        "sequence": 1,
        "type": "run.started",
        "at": NOW,
        "data": {"workflow": "order"},
    }
    assert entries[-1]["type"] == "run.succeeded"
    assert second["next"] is None


async def test_a_paused_run_starts_nothing_until_it_is_resumed(
    rest: Client, harness: Harness
) -> None:
    id = await a_run(rest)

    assert (await rest.make(f"{RUNS}/{id}/pause"))["state"] == "paused"
    await harness.work()
    assert (await harness.step_states(RunId(id)))["charge"] == "waiting"
    assert (await rest.make(f"{RUNS}/{id}/resume"))["state"] == "running"
    await harness.work()
    assert (await rest.read(f"{RUNS}/{id}"))["state"] == "succeeded"


async def test_a_cancelled_run_is_undone(rest: Client, harness: Harness) -> None:
    id = await a_run(rest)
    await harness.work(at_most=1)

    answer = await rest.post(f"{RUNS}/{id}/cancel")
    await harness.work_for(1)  # the hint to what was withdrawn is the first to be taken

    assert answer.status_code == 202
    assert answer.json()["state"] == "compensating"
    assert (await rest.read(f"{RUNS}/{id}"))["state"] == "cancelled"


async def test_a_failed_run_is_tried_again(rest: Client, harness: Harness) -> None:
    harness.on("reserve", _refuse)
    id = await a_run(rest)
    await harness.work()
    harness.on("reserve", lambda task: dict(task.spec.input))

    answer = await rest.post(f"{RUNS}/{id}/retry")
    await harness.work()

    assert answer.status_code == 202
    assert answer.json()["state"] == "running"
    assert (await rest.read(f"{RUNS}/{id}"))["state"] == "succeeded"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
async def test_what_the_state_of_a_run_does_not_allow_is_a_conflict(
    rest: Client, harness: Harness, action: str
) -> None:
    id = await a_run(rest)
    await harness.work()

    answer = await rest.post(f"{RUNS}/{id}/{action}")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:cueline:problem:illegal-transition"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/history"),
        ("GET", "/events"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/retry"),
    ],
)
async def test_what_is_asked_of_an_unknown_run_is_not_found(
    rest: Client, harness: Harness, method: str, path: str
) -> None:
    answer = await rest.ask(method, f"{RUNS}/{harness.ids.new()}{path}")

    assert answer.status_code == 404


def _refuse(_: Task) -> Json:
    raise PermanentError("no money")
