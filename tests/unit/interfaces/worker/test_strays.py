"""Tasks that the store gave to a worker which never heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from cueline.application.claiming import ClaimTasks
from cueline.application.context import Context
from cueline.application.outcomes import Outcome
from cueline.application.ports.journal import LogEntry
from cueline.application.settle import Settled, SettleTasks
from cueline.application.workers import Heartbeat
from cueline.domain.errors import Unavailable
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import RunState
from tests.factories import a_step, a_workflow
from tests.unit.interfaces.worker.workshop import Workshop, until


async def test_a_task_whose_claim_was_never_heard_of_is_given_back_and_run(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = ClaimTasks.take
    lost: list[Task] = []

    async def unheard(self: ClaimTasks, *args: object) -> list[Task]:
        claimed = await take(self, *args)  # type: ignore[arg-type]
        if claimed and not lost:
            lost.extend(claimed)
            raise Unavailable("the store", "its answer was lost")
        return claimed

    monkeypatch.setattr(ClaimTasks, "take", unheard)
    shop.on("job", lambda: "done")
    async with shop.open():
        task = await shop.submit()
        ended = await shop.ended(task)
    assert [each.id for each in lost] == [task.id]
    assert (ended.state, ended.attempt, ended.failures) == (TaskState.SUCCEEDED, 2, 0)
    assert await shop.outcomes(task) == ["released"]


async def test_a_task_that_is_settled_while_the_store_looks_is_no_stray(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat = shop.h.app.workers.heartbeat
    gate = asyncio.Event()
    seen: list[Task] = []

    async def begun_before_the_claim_was_heard_of(worker: Worker, _: object) -> Heartbeat:
        beat = await heartbeat(worker, {})
        for stray in beat.strays:
            gate.set()
            seen.append(await shop.ended(stray))
        return beat

    async def looked_at() -> bool:
        return bool(seen)

    monkeypatch.setattr(shop.h.app.workers, "heartbeat", begun_before_the_claim_was_heard_of)
    shop.on("job", gate.wait)
    async with shop.open():
        task = await shop.submit()
        await until(looked_at)
    assert [(each.id, each.attempt) for each in seen] == [(task.id, 1)]
    assert "unknown to us" not in caplog.text


async def test_a_task_whose_outcome_no_store_takes_is_not_run_again_and_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    beats = 0
    heartbeat = shop.h.app.workers.heartbeat

    async def refuse(
        self: SettleTasks, outcomes: Sequence[Outcome], logs: Sequence[LogEntry] = (), *rest: Any
    ) -> Settled:
        raise ValueError("no store takes this")

    async def counted(*args: object) -> object:
        nonlocal beats
        beats += 1
        return await heartbeat(*args)  # type: ignore[arg-type]

    async def several_beats_after_the_call() -> bool:
        return bool(calls) and beats > 10

    monkeypatch.setattr(SettleTasks, "__call__", refuse)
    monkeypatch.setattr(shop.h.app.workers, "heartbeat", counted)
    shop.on("job", lambda: calls.append(1))
    async with shop.open():
        task = await shop.submit()
        await shop.in_state(task, TaskState.RUNNING)
        await until(several_beats_after_the_call)
    assert calls == [1]
    assert (await shop.h.task(task.id)).attempt == 1


async def test_a_claim_that_is_heard_of_after_a_later_one_does_not_replace_it(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = SettleTasks.__call__
    versions: list[int] = []
    begun, late = asyncio.Event(), asyncio.Event()

    async def answered_late(self: SettleTasks, *args: Any, **kwargs: Any) -> Settled:
        settled = await settle(self, *args, **kwargs)
        for second in settled.claimed:
            await shop.h.app.tasks.cancel([second.id])
            await shop.h.app.runs.retry(run.id)
            await begun.wait()
            asyncio.get_running_loop().call_soon(late.set)
        return settled

    async def second(context: Context) -> None:
        versions.append(context.token)
        begun.set()
        await late.wait()
        await asyncio.sleep(0)

    monkeypatch.setattr(SettleTasks, "__call__", answered_late)
    shop.on("job", lambda: None)
    shop.on("other", second)
    flow = a_workflow(
        steps=[a_step("first", task="job"), a_step("second", task="other", after="first")]
    )
    async with shop.open():
        run = await shop.h.start(flow)

        async def there() -> bool:
            return (await shop.h.run(run.id)).state is RunState.SUCCEEDED

        await until(there)
    assert len(versions) == 1


async def test_a_step_that_is_taken_along_is_no_stray_before_the_worker_hears_of_it(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settle = SettleTasks.__call__
    heartbeat = shop.h.app.workers.heartbeat
    calls: list[int] = []
    beats = 0

    async def slowly(self: SettleTasks, *args: Any, **kwargs: Any) -> Settled:
        settled = await settle(self, *args, **kwargs)
        if settled.claimed:
            before = beats
            await until(has_beaten_five_times_since(before))
        return settled

    def has_beaten_five_times_since(before: int) -> Callable[[], Awaitable[bool]]:
        async def has_beaten() -> bool:
            return beats > before + 5

        return has_beaten

    async def counted(*args: object) -> object:
        nonlocal beats
        beat = await heartbeat(*args)  # type: ignore[arg-type]
        beats += 1
        return beat

    monkeypatch.setattr(SettleTasks, "__call__", slowly)
    monkeypatch.setattr(shop.h.app.workers, "heartbeat", counted)
    shop.on("job", lambda: calls.append(1))
    flow = a_workflow(
        steps=[a_step("first", task="job"), a_step("second", task="job", after="first")]
    )
    async with shop.open():
        run = await shop.h.start(flow)

        async def there() -> bool:
            return (await shop.h.run(run.id)).state.ended

        await until(there)
    assert len(calls) == 2
    assert "unknown to us" not in caplog.text
