"""A worker and a dispatcher at work while the broker comes and goes."""

from __future__ import annotations

import logging

import pytest

from cueline.application import intake, link
from tests.brittle import EVERYTHING
from tests.unit.interfaces.worker.workshop import RETRY_DELAY, Workshop, until

TAKEN = "cueline_tasks_taken_from_store_total"


@pytest.fixture(autouse=True)
def _impatient_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PROBE_DISTANCE", 0.002)
    monkeypatch.setattr(link, "LONGEST_DISTANCE", 0.002)
    monkeypatch.setattr(link, "PATIENCE", 0.05)
    monkeypatch.setattr(intake, "SHORTEST_NAP", 0.002)
    monkeypatch.setattr(intake, "LONGEST_NAP", 0.005)


async def test_work_goes_on_through_an_outage_and_back(
    shop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop.on("job", lambda: "done")
    async with shop.open():
        await shop.registered()
        assert (await shop.ended(await shop.submit())).output == "done"
        shop.h.broker.refusing = EVERYTHING
        for _ in range(20):
            assert (await shop.ended(await shop.submit())).output == "done"
        assert shop.h.measured(TAKEN) > 0
        await shop.h.broker_comes_back()
        taken = shop.h.measured(TAKEN)
        shop.h.clock.advance(1)
        assert (await shop.ended(await shop.submit())).output == "done"
        assert shop.h.measured(TAKEN) == taken
    told = [record.levelname for record in caplog.records if record.name == link.__name__]
    assert told == ["WARNING", "INFO"]
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == [
        record.message for record in caplog.records if record.name == link.__name__
    ][:1]


async def test_a_broker_that_falls_silent_holds_up_nobody_for_long(shop: Workshop) -> None:
    shop.on("job", lambda: "done")
    async with shop.open() as running:
        await shop.registered()
        shop.h.broker.silent = EVERYTHING
        for _ in range(20):
            assert (await shop.ended(await shop.submit())).output == "done"
        await running.finish()


async def test_retries_and_delays_go_by_the_store(shop: Workshop) -> None:
    calls: list[int] = []

    def fail_once() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return "done"

    shop.on("retried", fail_once)
    shop.h.broker.refusing = EVERYTHING
    async with shop.open():
        task = await shop.submit("retried")

        async def waits_for_its_retry() -> bool:
            return (await shop.h.task(task.id)).failures == 1

        await until(waits_for_its_retry)
        shop.h.clock.advance(RETRY_DELAY)
        assert (await shop.ended(task)).output == "done"


async def test_several_processes_do_each_task_once_without_a_broker(shop: Workshop) -> None:
    other = Workshop(beside=shop)
    done: list[int] = []

    def note(number: int) -> None:
        done.append(number)

    for process in (shop, other):
        process.on("job", note)
    shop.h.broker.refusing = EVERYTHING
    async with shop.open(), other.open():
        tasks = [await shop.submit("job", {"number": number}) for number in range(100)]
        for task in tasks:
            assert (await shop.ended(task)).attempt == 1
    assert sorted(done) == list(range(100))
