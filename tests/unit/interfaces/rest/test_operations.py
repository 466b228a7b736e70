from __future__ import annotations

from cueline.domain.errors import Unavailable
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
    assert "does not answer" in ready["parts"]["broker"]


async def test_a_service_without_its_store_is_not_ready(rest: Client, harness: Harness) -> None:
    harness.store.failing_read = Unavailable("the store")

    answer = await rest.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["parts"] == {"store": "the store does not answer", "broker": "ok"}


async def test_the_home_page_says_where_is_what_and_all_of_it_is_there(rest: Client) -> None:
    home = await rest.read("/")

    assert home["links"]["tasks"] == "/api/v1/tasks"
    for address in home["links"].values():
        assert (await rest.get(address)).status_code == 200
