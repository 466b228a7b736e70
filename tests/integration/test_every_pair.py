"""The same scenarios on every store with every broker: nothing but the setting changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

import cueline
from cueline import App, Context
from cueline.app import RunRef, TaskFailed, TaskRef
from cueline.application.application import Application
from cueline.application.queries import RunDetail
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.run import RunState
from cueline.loading import load_settings
from tests.integration.pairs import ONE_FOR_EACH_BROKER, PAIRS, Pair

T = TypeVar("T")

PATIENCE = "30s"


class Shop:
    """An application with a trace of what its handlers did, in order."""

    def __init__(self, settings: dict[str, str], **more: int) -> None:
        self.app = app = App("shop", settings=load_settings(**settings, **more))
        self.trace: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

        @app.task
        async def note(name: str) -> str:
            self.trace.append(name)
            return name.upper()

        @app.task(retry=cueline.fixed(attempts=4, every=0.05))
        async def stumble(ctx: Context, times: int) -> int:
            if ctx.attempt <= times:
                raise ValueError(f"stumbled {ctx.attempt} times")
            return ctx.attempt

        @app.task
        async def wait(name: str) -> None:
            self.trace.append(f"begin {name}")
            await self.gate(name).wait()
            self.trace.append(name)

        @app.task
        async def undo(name: str) -> None:
            self.trace.append(f"undo {name}")

        @app.task(retry=cueline.fixed(attempts=1, every=1))
        async def refuse() -> None:
            raise cueline.PermanentError("not today")

        self.note, self.stumble, self.wait, self.undo, self.refuse = (
            note,
            stumble,
            wait,
            undo,
            refuse,
        )

        order = app.workflow("order", version=1)
        reserve = order.step(
            "reserve", note, name="reserve", compensate=lambda _: undo.call(name="reserve")
        )
        charge = order.step(
            "charge",
            note,
            name="charge",
            after=[reserve],
            compensate=lambda _: undo.call(name="charge"),
        )
        pack = order.step("pack", note, name="pack", after=[reserve])
        order.step("ship", refuse, after=[charge, pack])
        self.order = order

        greeting = app.workflow("greeting", version=1)
        hello = greeting.step("hello", note, name=greeting.input.name)
        greeting.step("again", note, name=hello.output)
        greeting.returns({"said": hello.output})
        self.greeting = greeting

    def gate(self, name: str) -> asyncio.Event:
        """What the handler of `wait` waits for."""
        return self.gates.setdefault(name, asyncio.Event())

    async def ask(self, question: Callable[[Application], Awaitable[T]]) -> T:
        """Ask the service."""
        return await self.app.connection.call(question)

    async def task(self, ref: TaskRef) -> Task:
        """A task as it is stored."""
        return (await self.ask(lambda app: app.queries.task(ref.id))).task

    async def run(self, ref: RunRef) -> RunDetail:
        """A run as it is stored."""
        return await self.ask(lambda app: app.queries.run(ref.id))

    async def has_begun(self, name: str) -> None:
        """Return once the handler of `wait` has begun."""
        async with asyncio.timeout(30):
            while f"begin {name}" not in self.trace:  # noqa: ASYNC110  # a list of the test's own
                await asyncio.sleep(0.005)


@pytest.fixture(params=PAIRS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    pair: Pair = request.param
    return pair.settings(request, tmp_path)


async def test_a_task_is_submitted_run_and_answered(settings: dict[str, str]) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        one = await shop.note.submit("one")
        many = await shop.note.submit_many([{"name": str(n)} for n in range(50)])
        again = await shop.note.with_options(key="k").submit("keyed")
        same = await shop.note.with_options(key="k").submit("keyed")
        assert await one.result(PATIENCE) == "ONE"
        assert [await ref.result(PATIENCE) for ref in many] == [str(n) for n in range(50)]
        assert await same.result(PATIENCE) == "KEYED"
    assert same.id == again.id
    assert sorted(shop.trace) == sorted(["one", "keyed", *map(str, range(50))])


async def test_a_delay_is_kept(settings: dict[str, str]) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        later = await shop.note.with_options(delay="400ms").submit("later")
        now = await shop.note.submit("now")
        await later.result(PATIENCE)
        await now.result(PATIENCE)
        stored = await shop.task(later)
    assert shop.trace == ["now", "later"]
    assert stored.started_at is not None
    assert stored.started_at - stored.spec.created_at >= timedelta(milliseconds=400)


async def test_a_failure_is_tried_again_until_it_succeeds_or_is_dead(
    settings: dict[str, str],
) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        luckier, doomed = await shop.stumble.submit(2), await shop.stumble.submit(9)
        assert await luckier.result(PATIENCE) == 3
        with pytest.raises(TaskFailed, match="stumbled 4 times"):
            await doomed.result(PATIENCE)
        attempts = await shop.ask(lambda app: app.queries.attempts(luckier.id))
        dead = await shop.task(doomed)
    assert [attempt.outcome.value for attempt in attempts] == ["failed", "failed", "succeeded"]
    assert (dead.state, dead.attempt) == (TaskState.FAILED, 4)


async def test_the_more_urgent_starts_first(settings: dict[str, str]) -> None:
    shop = Shop(settings, concurrency=1)
    async with shop.app.working():
        await shop.wait.submit("first")
        await shop.has_begun("first")
        order = ["low", "normal", "critical", "high", "low", "critical"]
        refs = [
            await shop.note.with_options(priority=priority).submit(f"{priority} {n}")
            for n, priority in enumerate(order)
        ]
        shop.gate("first").set()
        for ref in refs:
            await ref.result(PATIENCE)
    assert shop.trace[2:] == ["critical 2", "critical 5", "high 3", "normal 1", "low 0", "low 4"]


async def test_a_cancelled_task_does_not_start_and_a_running_one_is_stopped(
    settings: dict[str, str],
) -> None:
    shop = Shop(settings, concurrency=1)
    async with shop.app.working():
        running = await shop.wait.submit("running")
        await shop.has_begun("running")
        queued = await shop.note.submit("queued")
        await shop.ask(lambda app: app.tasks.cancel([queued.id]))
        await shop.ask(lambda app: app.tasks.cancel([running.id]))
        after = await shop.note.submit("after")
        assert await after.result(PATIENCE) == "AFTER"
        for ref in (running, queued):
            assert (await shop.task(ref)).state is TaskState.CANCELLED
    assert shop.trace == ["begin running", "after"]


async def test_a_paused_queue_waits_until_it_is_resumed(settings: dict[str, str]) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        await shop.ask(lambda app: app.queues.pause("default"))
        held = await shop.note.submit("held")
        await asyncio.sleep(0.3)
        assert (await shop.task(held)).state is TaskState.QUEUED
        await shop.ask(lambda app: app.queues.resume("default"))
        assert await held.result(PATIENCE) == "HELD"


async def test_a_workflow_passes_outputs_on(settings: dict[str, str]) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        run = await shop.greeting.start({"name": "ada"})
        assert await run.result(PATIENCE) == {"said": "ADA"}
        assert (await shop.run(run)).run.state is RunState.SUCCEEDED
    assert shop.trace == ["ada", "ADA"]


async def test_a_run_that_fails_is_undone_in_reverse(settings: dict[str, str]) -> None:
    shop = Shop(settings)
    async with shop.app.working():
        run = await shop.order.start({})
        with pytest.raises(TaskFailed, match="not today"):
            await run.result(PATIENCE)
        assert (await shop.run(run)).run.state is RunState.COMPENSATED
    assert shop.trace[0] == "reserve"
    assert sorted(shop.trace[1:3]) == ["charge", "pack"]
    assert shop.trace[3:] == ["undo charge", "undo reserve"]


@pytest.mark.parametrize("settings", ONE_FOR_EACH_BROKER, indirect=True)
async def test_critical_comes_before_a_backlog_of_10_000_low_tasks(
    settings: dict[str, str],
) -> None:
    slots = 20
    shop = Shop(settings, concurrency=slots)
    async with shop.app.working():
        low = shop.note.with_options(priority="low")
        for _ in range(10):
            await low.submit_many([{"name": "low"}] * 1000)
        critical = await shop.note.with_options(priority="critical").submit("critical")
        before = shop.trace.count("low")
        await critical.result(PATIENCE)
        ahead = shop.trace.index("critical") - before
        backlog = 10_000 - before - ahead
    # What runs, what waits to be settled or is on its way to the worker, and the broker's window.
    assert ahead <= 12 * slots
    assert backlog > 1_000, "nothing was waiting any more: the test shows nothing"
