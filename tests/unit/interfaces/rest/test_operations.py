from __future__ import annotations

import pytest

from cueline.domain.errors import Unavailable
from tests.brittle import EVERYTHING
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client


async def test_a_process_that_answers_is_alive(rest: Client) -> None:
    assert await rest.read("/health/live") == {"status": "ok"}


async def test_a_service_whose_parts_answer_is_ready(rest: Client) -> None:
    ready = await rest.read("/health/ready")

    assert ready == {"status": "ok", "parts": {"store": "ok", "broker": "ok"}}


async def test_a_service_without_its_broker_is_ready_but_degraded(
    rest: Client, harness: Harness
) -> None:
    harness.broker.refusing = frozenset({"depth"})

    ready = await rest.read("/health/ready")

    assert ready["status"] == "degraded"
    assert ready["parts"]["store"] == "ok"
    assert "workers take tasks from the store" in ready["parts"]["broker"]


async def test_a_service_without_its_store_is_not_ready(rest: Client, harness: Harness) -> None:
    harness.store.failing_read = Unavailable("the store", "no route to db.internal")

    answer = await rest.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["parts"] == {"store": "the store does not answer", "broker": "ok"}


@pytest.mark.parametrize("address", ["broker.internal", "user:secret@10.0.0.7"])
async def test_readiness_tells_strangers_no_address(
    rest: Client, harness: Harness, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    async def refuse(queue: str) -> int:
        raise Unavailable("the broker", address)

    monkeypatch.setattr(harness.broker, "depth", refuse)
    assert address not in (await rest.get("/health/ready")).text


async def test_a_task_is_accepted_while_the_broker_is_away(rest: Client, harness: Harness) -> None:
    harness.broker.refusing = EVERYTHING
    accepted = await rest.post("/api/v1/tasks", {"name": "send"})
    assert accepted.status_code == 202
    assert (await rest.read("/health/ready"))["status"] == "degraded"


async def test_prometheus_can_read_the_figures(rest: Client, harness: Harness) -> None:
    figures = await rest.get("/metrics")
    assert figures.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\ncueline_broker_up 1.0\n" in figures.text
    await harness.broker_goes_away()
    assert "\ncueline_broker_up 0.0\n" in (await rest.get("/metrics")).text


async def test_the_home_page_says_where_is_what_and_all_of_it_is_there(rest: Client) -> None:
    home = await rest.read("/")

    assert home["links"]["tasks"] == "/api/v1/tasks"
    for address in home["links"].values():
        assert (await rest.get(address)).status_code == 200
