"""Whatever a client sends, it is told what is wrong and where, and the service goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.interfaces.rest.bad_input import (
    BATCH,
    ORDER_RUNS,
    RUNS,
    TASKS,
    WORKFLOWS,
    problems,
)
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.documents import an_order

pytestmark = pytest.mark.usefixtures("goes_on")

# --- what the fields hold -------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, 7, "text", [], [{}]])
async def test_a_task_that_is_not_an_object_is_refused(rest: Client, body: Any) -> None:
    answer = await rest.send(TASKS, json.dumps(body).encode())

    assert answer.status_code == 422
    assert problems(answer) == {"": "must be an object"}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"name": None}, "name", "string"),
        ({"name": 7}, "name", "string"),
        ({"name": ""}, "name", "no task is called"),
        ({"name": "se\0nd"}, "name", "no task is called"),
        ({"name": "nobody"}, "name", "known: charge, pack"),
        ({"name": "x" * 5000}, "name", "no task is called"),
        ({"input": None}, "input", "must be an object"),
        ({"input": [1]}, "input", "must be an object"),
        ({"name": "strict"}, "input.order", "is missing"),
        ({"queue": "no spaces"}, "queue", "is not a name"),
        ({"queue": "nul\0"}, "queue", "is not a name"),
        ({"queue": "q" * 101}, "queue", "is not a name"),
        ({"priority": "urgent"}, "priority", "critical, high, normal, low"),
        ({"priority": 1}, "priority", "critical, high, normal, low"),
        ({"delay": "soon"}, "delay", "is not a duration"),
        ({"delay": True}, "delay", "is not a duration"),
        ({"delay": []}, "delay", "30s"),
        ({"delay": -1}, "delay", "out of range"),
        ({"delay": 1e300}, "delay", "out of range"),
        ({"delay": "99999999999d"}, "delay", "out of range"),
        ({"delay": "9" * 60 + "d"}, "delay", "out of range"),
        ({"run_at": "2026-01-31T08:00:00"}, "run_at", "time zone"),
        ({"run_at": "2026-01-31"}, "run_at", "time zone"),
        ({"run_at": "tomorrow"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": 1767225600}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "2026-02-30T08:00:00Z"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "0001-01-01T00:00:00+23:00"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "9999-12-31T23:59:59-23:00"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "2027-01-01T00:00:00Z", "delay": "1s"}, "run_at", "not both"),
        ({"timeout": 0}, "timeout", "more than zero"),
        ({"retry": {"attempts": 0}}, "retry.attempts", "use 1 to 1000"),
        ({"retry": {"attempts": "3"}}, "retry.attempts", "whole number"),
        ({"retry": {"first": "soon"}}, "retry.first", "is not a duration"),
        ({"retry": {"backoff": "random"}}, "retry.backoff", "exponential"),
        ({"retry": {"times": 3}}, "retry.times", "no such field"),
        ({"retry": 3}, "retry", "must be an object"),
        ({"key": ""}, "key", "1 to 255"),
        ({"key": "k" * 256}, "key", "1 to 255"),
        ({"key": 7}, "key", "string"),
        ({"tags": ["t"] * 21}, "tags", "20 at most"),
        ({"tags": ["t", ""]}, "tags[1]", "1 to 100"),
        ({"tags": "shop"}, "tags", "must be an array"),
        ({"tags": [7]}, "tags[0]", "string"),
        ({"inputs": {}}, "inputs", "no such field; the fields are: name, input, queue"),
        ({"Name": "send"}, "Name", "no such field"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    rest: Client, fields: dict[str, Any], path: str, message: str
) -> None:
    task = {"name": "send", **fields}

    alone = await rest.post(TASKS, task)
    in_batch = await rest.post(BATCH, [{"name": "send"}, task])

    assert alone.status_code == in_batch.status_code == 422
    assert message in problems(alone)[path]
    assert message in problems(in_batch)[f"[1].{path}"]


async def test_everything_that_is_wrong_is_told_at_once(rest: Client) -> None:
    wrong = {"priority": "urgent", "delay": "soon", "retry": {"attempts": "x", "cap": []}}

    answer = await rest.post(TASKS, {"name": "send", **wrong})

    assert set(problems(answer)) == {"priority", "delay", "retry.attempts", "retry.cap"}


async def test_what_is_wrong_is_quoted_but_not_at_any_length(rest: Client) -> None:
    answer = await rest.post(TASKS, {"name": "send", "k" * 50_000: 1, "delay": "x" * 40_000})

    assert answer.status_code == 422
    assert len(answer.content) < 10_000


async def test_of_thousands_of_problems_the_first_hundred_are_told(rest: Client) -> None:
    answer = await rest.post(BATCH, [{"name": "nobody"}] * 1000)

    assert len(answer.json()["problems"]) == 101
    assert answer.json()["problems"][-1]["message"] == "and 900 problems more"


# --- workflows ------------------------------------------------------------------------------------

STEP = {"task": "send"}


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"name": "no spaces"}, "name", "is not a name"),
        ({"name": "nul\0"}, "name", "is not a name"),
        ({"name": None}, "name", "must be a text"),
        ({"version": 0}, "version", "from 1"),
        ({"version": 2**40}, "version", "from 1"),
        ({"version": "1"}, "version", "whole number"),
        ({"steps": {}}, "steps", "at least one"),
        ({"steps": []}, "steps", "must be an object"),
        ({"steps": {"a": {}}}, "steps.a.task", "must be a text"),
        ({"steps": {"a": {**STEP, "need": "b"}}}, "steps.a.need", "no such field"),
        ({"steps": {"a": {**STEP, "after": ["b"]}}}, "steps.a.after[0]", "there is no step 'b'"),
        ({"steps": {"a": {**STEP, "input": {"x": "${wrong"}}}}, "steps.a.input", "without"),
        ({"steps": {"a": {"task": "nobody"}}}, "steps.a.task", "no task is called"),
        ({"steps": {"a": {**STEP, "priority": "urgent"}}}, "steps.a.priority", "is none of"),
        ({"steps": {"a": {**STEP, "retry": {"attempts": 0}}}}, "steps.a.retry.attempts", "1 to"),
        ({"steps": {"a": {**STEP, "timeout": "soon"}}}, "steps.a.timeout", "not a duration"),
        (
            {"steps": {"a": {**STEP, "after": ["b"]}, "b": {**STEP, "after": ["a"]}}},
            "steps.a",
            "in a circle: a -> b -> a",
        ),
        ({"extra": 1}, "extra", "no such field"),
    ],
)
async def test_a_workflow_that_cannot_run_is_refused_with_the_place(
    rest: Client, changes: dict[str, Any], path: str, message: str
) -> None:
    workflow = {"name": "order", "steps": {"a": STEP}, **changes}

    registered = await rest.post(WORKFLOWS, workflow)
    inline = await rest.post(RUNS, {"workflow": workflow})

    assert registered.status_code == inline.status_code == 422
    assert registered.json()["type"] == "urn:cueline:problem:invalid-definition"
    assert inline.json()["type"] == "urn:cueline:problem:invalid-definition"
    assert message in problems(registered)[path]
    assert message in problems(inline)[f"workflow.{path}"]


@pytest.mark.parametrize("workflow", [None, 7, "order", []])
async def test_a_workflow_that_is_not_an_object_is_refused(rest: Client, workflow: Any) -> None:
    registered = await rest.send(WORKFLOWS, json.dumps(workflow).encode())
    inline = await rest.post(RUNS, {"workflow": workflow})

    assert registered.status_code == inline.status_code == 422


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"version": 0}, "version"),
        ({"version": 2**31}, "version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"key": ""}, "key"),
        ({"inputs": {}}, "inputs"),
        ([], ""),
    ],
)
async def test_a_request_for_a_run_that_cannot_be_used_is_refused(
    rest: Client, body: Any, path: str
) -> None:
    await rest.make(WORKFLOWS, an_order())

    answer = await rest.post(ORDER_RUNS, body)

    assert answer.status_code == 422
    assert path in problems(answer)


async def test_an_inline_run_without_a_workflow_is_refused(rest: Client) -> None:
    answer = await rest.post(RUNS, {"input": {}})

    assert problems(answer) == {"workflow": "is missing"}
