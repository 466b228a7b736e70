from __future__ import annotations

from typing import Any

import pytest

from cueline.domain.identifiers import RunId
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.documents import an_order

WORKFLOWS = "/api/v1/workflows"
RUNS = "/api/v1/runs"
KEY = "Idempotency-Key"


async def test_a_new_workflow_is_created_at_an_address(rest: Client) -> None:
    answer = await rest.post(WORKFLOWS, an_order())

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{WORKFLOWS}/order/versions/1"
    assert (await rest.get(answer.headers["location"])).json() == answer.json()


async def test_the_same_workflow_again_changes_nothing(rest: Client) -> None:
    first = await rest.post(WORKFLOWS, an_order())

    again = await rest.post(WORKFLOWS, an_order())

    assert again.status_code == 200
    assert again.json() == first.json()


async def test_what_is_shown_of_a_workflow_can_be_registered_again(rest: Client) -> None:
    await rest.make(WORKFLOWS, an_order())

    shown = await rest.read(f"{WORKFLOWS}/order/versions/1")

    assert (await rest.post(WORKFLOWS, shown)).status_code == 200


async def test_a_changed_workflow_needs_a_new_version(rest: Client) -> None:
    await rest.make(WORKFLOWS, an_order())

    refused = await rest.post(WORKFLOWS, an_order(output=None))
    accepted = await rest.post(WORKFLOWS, an_order(output=None, version=2))

    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:cueline:problem:definition-changed"
    assert accepted.status_code == 201


async def test_workflows_are_listed_with_their_steps(rest: Client) -> None:
    await rest.make(WORKFLOWS, an_order())
    await rest.make(WORKFLOWS, an_order(version=2))

    listed = await rest.read(WORKFLOWS)

    assert [(flow["name"], flow["version"], flow["steps"]) for flow in listed["items"]] == [
        ("order", 1, ["reserve", "charge"]),
        ("order", 2, ["reserve", "charge"]),
    ]


@pytest.mark.parametrize("path", ["order/versions/9", "nothing/versions/1"])
async def test_an_unknown_workflow_is_not_found(rest: Client, path: str) -> None:
    await rest.make(WORKFLOWS, an_order())

    assert (await rest.get(f"{WORKFLOWS}/{path}")).status_code == 404


# --- running them ---------------------------------------------------------------------------------


async def test_a_run_is_accepted_with_its_id_and_links(rest: Client, harness: Harness) -> None:
    await rest.make(WORKFLOWS, an_order())

    answer = await rest.post(f"{WORKFLOWS}/order/runs", {"input": {"order": 7}})

    receipt = answer.json()
    here = f"{RUNS}/{receipt['id']}"
    assert answer.status_code == 202
    assert answer.headers["location"] == here
    assert receipt["created"] is True
    assert receipt["links"] == {
        "self": here,
        "history": f"{here}/history",
        "events": f"{here}/events",
        "tasks": f"/api/v1/tasks?run={receipt['id']}",
    }
    assert (await harness.run(RunId(receipt["id"]))).input == {"order": 7}


async def test_the_latest_version_runs_unless_one_is_named(rest: Client) -> None:
    for version in (1, 2, 10):
        await rest.make(WORKFLOWS, an_order(version=version))

    latest = await rest.make(f"{WORKFLOWS}/order/runs", {"input": {"order": 7}})
    named = await rest.make(f"{WORKFLOWS}/order/runs", {"input": {"order": 7}, "version": 2})

    assert (await rest.read(f"{RUNS}/{latest['id']}"))["workflow"]["version"] == 10
    assert (await rest.read(f"{RUNS}/{named['id']}"))["workflow"]["version"] == 2


async def test_a_workflow_can_come_with_the_request(rest: Client) -> None:
    receipt = await rest.make(RUNS, {"workflow": an_order(), "input": {"order": 7}})

    shown = await rest.read(f"{RUNS}/{receipt['id']}")
    assert shown["workflow"] == {"name": "order", "version": 1}
    assert (await rest.read(WORKFLOWS))["items"] == []


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("in_header", [True, False])
async def test_a_repeat_by_key_answers_the_first_run(
    rest: Client, inline: bool, in_header: bool
) -> None:
    await rest.make(WORKFLOWS, an_order())
    body: dict[str, Any] = {"input": {"order": 7}}
    path = f"{WORKFLOWS}/order/runs"
    if inline:
        path, body["workflow"] = RUNS, an_order()
    first = await rest.post(path, {**body, "key": "order-7"})
    headers = {KEY: "order-7"} if in_header else {}
    if not in_header:
        body["key"] = "order-7"

    again = await rest.post(path, body, headers=headers)

    assert again.status_code == first.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["created"] is False
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_key_of_another_run_is_refused(rest: Client) -> None:
    await rest.make(WORKFLOWS, an_order())
    await rest.make(f"{WORKFLOWS}/order/runs", {"input": {"order": 7}, "key": "k"})

    answer = await rest.post(f"{WORKFLOWS}/order/runs", {"input": {"order": 8}, "key": "k"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:cueline:problem:key-reused"


async def test_a_run_of_an_unknown_workflow_is_not_found_and_the_known_are_named(
    rest: Client,
) -> None:
    await rest.make(WORKFLOWS, an_order())

    answer = await rest.post(f"{WORKFLOWS}/ordre/runs", {"input": {}})

    assert answer.status_code == 404
    assert "known: order" in answer.json()["detail"]
