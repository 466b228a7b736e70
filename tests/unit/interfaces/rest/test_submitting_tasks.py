from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cueline.domain.identifiers import TaskId
from cueline.domain.retry import Backoff
from cueline.domain.task import Priority
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client
from tests.unit.interfaces.rest.stream import comes_true

TASKS = "/api/v1/tasks"
KEY = "Idempotency-Key"


async def test_a_submitted_task_is_accepted_with_its_id_and_links(
    rest: Client, harness: Harness
) -> None:
    answer = await rest.post(TASKS, {"name": "send", "input": {"order": 7}})

    receipt = answer.json()
    here = f"{TASKS}/{receipt['id']}"
    assert answer.status_code == 202
    assert answer.headers["location"] == here
    assert receipt["state"] == "queued"
    assert receipt["created"] is True
    assert receipt["links"] == {
        "self": here,
        "attempts": f"{here}/attempts",
        "logs": f"{here}/logs",
        "explain": f"{here}/explain",
        "events": f"{here}/events",
    }
    assert (await harness.task(TaskId(receipt["id"]))).spec.input == {"order": 7}


async def test_the_input_may_be_left_out(rest: Client, harness: Harness) -> None:
    receipt = await rest.make(TASKS, {"name": "send"})

    assert (await harness.task(TaskId(receipt["id"]))).spec.input == {}


async def test_every_option_reaches_the_task(rest: Client, harness: Harness) -> None:
    receipt = await rest.make(
        TASKS,
        {
            "name": "send",
            "input": {},
            "queue": "email",
            "priority": "high",
            "delay": "1m30s",
            "retry": {"attempts": 5, "backoff": "linear", "first": 2, "permanent": ["ValueError"]},
            "timeout": 30,
            "key": "order-7",
            "tags": ["shop", "eu"],
        },
    )

    task = await harness.task(TaskId(receipt["id"]))
    assert receipt["state"] == "scheduled"
    assert task.run_at == harness.clock.now() + timedelta(seconds=90)
    assert task.spec.queue == "email"
    assert task.spec.priority is Priority.HIGH
    assert task.spec.retry.attempts == 5
    assert task.spec.retry.backoff is Backoff.LINEAR
    assert task.spec.retry.first == timedelta(seconds=2)
    assert task.spec.timeout == timedelta(seconds=30)
    assert task.spec.key == "order-7"
    assert task.spec.tags == ("shop", "eu")


@pytest.mark.parametrize(
    "run_at", ["2026-03-01T13:00:00Z", "2026-03-01T14:00:00+01:00", "2026-03-01T13:00:00.000000Z"]
)
async def test_a_run_time_is_kept_in_utc(rest: Client, harness: Harness, run_at: str) -> None:
    receipt = await rest.make(TASKS, {"name": "send", "run_at": run_at})

    task = await harness.task(TaskId(receipt["id"]))
    assert task.run_at == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert task.run_at.utcoffset() == timedelta(0)


async def test_optional_fields_may_be_null(rest: Client) -> None:
    nothing = dict.fromkeys(("queue", "priority", "delay", "run_at", "retry", "timeout", "key"))

    assert (await rest.post(TASKS, {"name": "send", **nothing})).status_code == 202


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["body", "header", "quoted header", "both"])
async def test_a_repeat_by_key_answers_the_first_task(rest: Client, second: str) -> None:
    body: dict[str, Any] = {"name": "send", "input": {"order": 7}}
    first = await rest.post(TASKS, {**body, "key": "order-7"})
    headers = {
        "body": {},
        "header": {KEY: "order-7"},
        "quoted header": {KEY: '"order-7"'},
        "both": {KEY: "order-7"},
    }[second]
    if second in ("body", "both"):
        body["key"] = "order-7"

    again = await rest.post(TASKS, body, headers=headers)

    assert again.status_code == first.status_code == 202
    assert again.json() == {**first.json(), "created": False}
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


async def test_a_repeat_answers_the_first_task_even_when_it_has_ended(
    rest: Client, harness: Harness
) -> None:
    body = {"name": "send", "key": "once"}
    first = await rest.make(TASKS, body)
    await harness.work()

    again = await rest.make(TASKS, body)

    assert again["id"] == first["id"]
    assert again["state"] == "succeeded"


async def test_a_key_that_stands_for_another_request_is_refused(rest: Client) -> None:
    first = await rest.make(TASKS, {"name": "send", "input": {"order": 7}, "key": "k"})

    answer = await rest.post(TASKS, {"name": "send", "input": {"order": 8}, "key": "k"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:cueline:problem:key-reused"
    assert first["id"] in answer.json()["detail"]


async def test_two_different_keys_in_one_request_are_refused(rest: Client) -> None:
    answer = await rest.post(TASKS, {"name": "send", "key": "a"}, headers={KEY: "b"})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == "key"


# --- sharing a write ------------------------------------------------------------------------------


async def test_requests_that_arrive_together_share_a_transaction(
    rest: Client, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    together = harness.app.submit._together
    write = together._write

    async def counted(tasks: Any) -> Any:
        batches.append(len(tasks))
        return await write(tasks)

    monkeypatch.setattr(together, "_write", counted)
    async with harness.store.write():  # while this goes on, no submission can be written
        requests = [asyncio.create_task(rest.make(TASKS, {"name": "send"})) for _ in range(20)]
        await comes_true(lambda: len(together._waiting) >= 19)
    receipts = await asyncio.gather(*requests)

    assert sum(batches) == 20
    assert len(batches) <= 2
    assert len({receipt["id"] for receipt in receipts}) == 20


async def test_one_conflict_does_not_hurt_those_that_share_its_transaction(
    rest: Client, harness: Harness
) -> None:
    async with harness.store.write():
        requests = [
            asyncio.create_task(rest.post(TASKS, {"name": "send", "input": {"n": n}, "key": key}))
            for n, key in enumerate(["a", "b", "b", "c"])
        ]
        await comes_true(lambda: len(harness.app.submit._together._waiting) >= 3)
    answers = await asyncio.gather(*requests)

    assert [answer.status_code for answer in answers] == [202, 202, 422, 202]


# --- batches --------------------------------------------------------------------------------------


async def test_a_batch_answers_in_its_order(rest: Client, harness: Harness) -> None:
    answer = await rest.post(
        f"{TASKS}/batch", [{"name": "send", "input": {"n": n}} for n in range(3)]
    )

    assert answer.status_code == 202
    ids = [TaskId(item["id"]) for item in answer.json()["items"]]
    assert [(await harness.task(id)).spec.input["n"] for id in ids] == [0, 1, 2]


async def test_an_empty_batch_answers_nothing(rest: Client) -> None:
    assert await rest.make(f"{TASKS}/batch", []) == {"items": []}


async def test_the_items_of_a_batch_have_keys_of_their_own(rest: Client) -> None:
    first = await rest.make(TASKS, {"name": "send", "key": "a"})

    batch = await rest.make(
        f"{TASKS}/batch", [{"name": "send", "key": "a"}, {"name": "send", "key": "b"}]
    )

    assert [item["created"] for item in batch["items"]] == [False, True]
    assert batch["items"][0]["id"] == first["id"]


async def test_a_batch_with_a_header_for_the_key_is_refused(rest: Client) -> None:
    answer = await rest.post(f"{TASKS}/batch", [{"name": "send"}], headers={KEY: "a"})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == KEY


async def test_a_batch_with_one_wrong_item_stores_none_and_says_which(rest: Client) -> None:
    answer = await rest.post(
        f"{TASKS}/batch", [{"name": "send"}, {"name": "nobody"}, {"name": "strict"}]
    )

    assert answer.status_code == 422
    assert [problem["path"] for problem in answer.json()["problems"]] == [
        "[1].name",
        "[2].input.order",
    ]
    assert (await rest.read(TASKS))["items"] == []


async def test_ten_thousand_tasks_fit_in_a_batch_and_one_more_does_not(rest: Client) -> None:
    batch = [{"name": "send"}] * 10_000

    receipts = await rest.make(f"{TASKS}/batch", batch)
    refused = await rest.post(f"{TASKS}/batch", [*batch, {"name": "send"}])

    assert len(receipts["items"]) == 10_000
    assert refused.status_code == 422


async def test_a_batch_may_be_ten_times_as_large_as_another_body(rest: Client) -> None:
    body = [{"name": "send", "input": {"text": "x" * 150_000}}]

    assert (await rest.post(f"{TASKS}/batch", body)).status_code == 202
    assert (await rest.post(f"{TASKS}/batch", body * 7)).status_code == 413
    assert (await rest.post(TASKS, body[0])).status_code == 413
