"""What a task and a step of a run cost in statements, each of which is a round trip.

`docs/performance.md` tells the same figures; whoever changes them changes them there, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from cueline import App
from cueline.application.advancing import Taker
from cueline.application.application import Application
from cueline.application.hints import Hints
from cueline.application.outcomes import Succeeded
from cueline.application.tasks import Submission
from cueline.application.workflows import Start
from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.task import DEFAULT_QUEUE, Task
from cueline.domain.worker import Worker
from cueline.loading import load_settings
from cueline.runtime import open_application

MANY = 100


@pytest.fixture
def shop() -> App:
    app = App("shop")

    @app.task
    async def work(number: int) -> int:
        return number

    flow = app.workflow("flow", version=1)
    first = flow.step("first", work, number=1)
    flow.step("second", work, number=first.output)
    return app


@pytest.fixture
async def application(shop: App, postgres_store_url: str) -> AsyncIterator[Application]:
    """An application that has done everything once, so that nothing is looked up any more."""
    settings = load_settings(store=postgres_store_url, broker="memory://", namespace="statements")
    async with open_application(settings, shop) as application:
        worker = await application.workers.register("worker", [DEFAULT_QUEUE], MANY)
        tasks = await submitted(application, 1)
        await settled(application, worker, await claimed(application, worker, tasks))
        await application.start.one(Start(shop.workflows[0], {}))
        yield application


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is sent to the server meanwhile, word by word."""
    sent: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("fetch", "execute"):
            genuine = getattr(asyncpg.Connection, name)

            async def noting(
                self: Any, query: str, *args: Any, genuine: Any = genuine, **kwargs: Any
            ) -> Any:
                sent.append(query.split(maxsplit=1)[0])
                return await genuine(self, query, *args, **kwargs)

            patch.setattr(asyncpg.Connection, name, noting)
        yield sent


async def submitted(application: Application, count: int) -> list[Task]:
    done = await application.submit([Submission("work", {"number": 1})] * count)
    return [each.task for each in done]


async def claimed(application: Application, worker: Worker, tasks: list[Task]) -> list[Task]:
    return await application.claim.take(
        worker, ["work"], Hints(len(tasks), frozenset(task.id for task in tasks))
    )


async def settled(application: Application, worker: Worker, tasks: list[Task]) -> tuple[Task, ...]:
    taker = Taker(worker, ["work"], len(tasks))
    outcomes = [Succeeded(task, 1) for task in tasks]
    return (await application.settle(outcomes, taker=taker)).claimed


async def begun(application: Application, worker: Worker, shop: App, count: int) -> list[Task]:
    """The first steps of so many runs."""
    started = await application.start([Start(shop.workflows[0], {})] * count)
    firsts = [step_task_id(each.run.id, "first", Purpose.WORK) for each in started]
    return await application.claim.take(worker, ["work"], Hints(count, frozenset(firsts)))


@pytest.mark.parametrize("count", [1, MANY])
async def test_tasks_cost_three_statements_however_many_they_are(
    application: Application, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    worker = await application.workers.register("worker", [DEFAULT_QUEUE], MANY)
    with counted(monkeypatch) as sent:
        tasks = await submitted(application, count)
    assert sent == ["INSERT"]
    with counted(monkeypatch) as sent:
        tasks = await claimed(application, worker, tasks)
    assert sent == ["UPDATE"]
    with counted(monkeypatch) as sent:
        await settled(application, worker, tasks)
    assert sent == ["UPDATE"]
    assert len(tasks) == count


async def test_a_backlog_is_claimed_in_one_statement(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await application.submit([Submission("work", {"number": 1}, queue="backlog")] * MANY)
    worker = await application.workers.register("worker", ["backlog"], MANY)
    with counted(monkeypatch) as sent:
        tasks = await application.claim.take(worker, ["work"], Hints(MANY, from_store=MANY))
    assert sent == ["WITH"]
    assert len(tasks) == MANY


@pytest.mark.parametrize("count", [1, MANY])
async def test_a_run_costs_a_statement_to_start_one_to_claim_and_one_for_each_step(
    shop: App, application: Application, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    worker = await application.workers.register("worker", [DEFAULT_QUEUE], MANY)
    await settled(application, worker, await begun(application, worker, shop, 1))
    with counted(monkeypatch) as sent:
        steps = await begun(application, worker, shop, count)
    assert sent == ["WITH", "UPDATE"]  # started, and claimed
    with counted(monkeypatch) as sent:
        steps = list(await settled(application, worker, steps))
    assert sent == ["WITH"]
    with counted(monkeypatch) as sent:
        assert await settled(application, worker, steps) == ()
    assert sent == ["WITH"]
    assert len(steps) == count


@pytest.mark.parametrize(
    ("count", "writes"),
    [(1, ["UPDATE", "WITH"]), (MANY, ["UPDATE", "INSERT", "UPDATE", "INSERT", "INSERT"])],
)
async def test_a_step_of_a_run_that_others_move_costs_a_transaction(
    shop: App,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    writes: list[str],
) -> None:
    """Large batches are written one by one, each in the form that suits it."""
    worker = await application.workers.register("worker", [DEFAULT_QUEUE], MANY)
    steps = await begun(application, worker, shop, count)
    with counted(monkeypatch) as sent:
        await application.settle([Succeeded(step, 1) for step in steps])
    assert sent == ["BEGIN", "SELECT", *writes, "COMMIT"]
