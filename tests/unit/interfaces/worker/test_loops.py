"""The loops: dispatching and maintenance go on whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from cueline.application import backlog
from cueline.application.dispatch import DispatchTasks
from cueline.application.maintain import Maintain, Maintained
from cueline.domain.errors import Unavailable
from cueline.domain.task import TaskState
from cueline.domain.worker import LEASE, WorkerState
from cueline.interfaces.worker import loops
from tests.harness import Harness
from tests.unit.interfaces.worker.workshop import until


@pytest.fixture
def h() -> Harness:
    """An application with no worker yet."""
    return Harness()


@asynccontextmanager
async def going(loop: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """A loop that runs beside the test; it must not have ended by itself."""
    task = asyncio.create_task(loop)
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _in_broker(h: Harness, count: int) -> None:
    async def there() -> bool:
        return await h.in_broker() == count

    await until(there)


async def test_what_waited_for_a_worker_is_dispatched_when_one_comes(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "IDLE_PASS", 60)
    monkeypatch.setattr(loops, "BUSY_PASS", 60)
    for _ in range(2):
        await h.submit()
    async with going(loops.dispatch_forever(h.app)):
        await asyncio.sleep(0.005)
        assert await h.in_broker() == 0
        await h.hire(slots=1)
        await _in_broker(h, 2)


async def test_a_backlog_is_dispatched_as_room_is_made(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "IDLE_PASS", 60)
    monkeypatch.setattr(loops, "BUSY_PASS", 60)  # so that only the bell can wake it
    monkeypatch.setattr(backlog, "AMPLE_SHARE", 0)  # the worker takes nothing from the store
    worker = await h.hire(slots=1)
    for _ in range(100):
        await h.submit()
    window = await h.in_broker()
    assert window < 100
    async with going(loops.dispatch_forever(h.app)):
        claimed = 0

        async def all_claimed() -> bool:
            nonlocal claimed
            claimed += len(await h.app.claim(worker, h.executor.names, 10, 0))
            return claimed == 100

        await until(all_claimed)


async def test_a_scheduled_task_is_dispatched_when_it_falls_due(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "IDLE_PASS", 60)
    await h.hire()
    await h.submit(run_at=h.clock.now() + timedelta(milliseconds=5))
    async with going(loops.dispatch_forever(h.app)):
        await asyncio.sleep(0)
        assert await h.in_broker() == 0
        h.clock.advance(0.005)
        await _in_broker(h, 1)


async def test_what_another_process_submitted_is_found_without_a_bell(h: Harness) -> None:
    await h.hire()
    async with going(loops.dispatch_forever(h.app)):
        await asyncio.sleep(0)
        other = Harness(beside=h)
        await other.submit()
        h.clock.advance(3600)
        await _in_broker(h, 1)


@pytest.mark.parametrize(
    "error", [Unavailable("the store"), ValueError("a bug")], ids=["Unavailable", "a bug"]
)
async def test_dispatching_goes_on_after_an_error(
    h: Harness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failed = asyncio.Event()

    async def fail(_: DispatchTasks) -> None:
        failed.set()
        raise error

    await h.submit()
    with monkeypatch.context() as patch:
        patch.setattr(DispatchTasks, "__call__", fail)
        async with going(loops.dispatch_forever(h.app)):
            await failed.wait()
            patch.undo()
            await h.hire()
            await _in_broker(h, 1)


async def test_maintenance_recovers_the_tasks_of_lost_workers(
    h: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await h.hire()
    await h.submit("charge")
    task = await h.claim_one()
    async with going(loops.maintain_forever(h.app)):
        await asyncio.sleep(0.005)
        assert (await h.task(task.id)).state is TaskState.RUNNING
        h.clock.advance(LEASE.total_seconds())

        async def recovered() -> bool:
            return (await h.task(task.id)).state is TaskState.FAILED

        await until(recovered)
        [worker] = await h.app.queries.workers()
        assert worker.state is WorkerState.LOST
    assert "1 tasks of lost workers were recovered" in caplog.text


@pytest.mark.parametrize(
    "error", [Unavailable("the store"), ValueError("a bug")], ids=["Unavailable", "a bug"]
)
async def test_maintenance_goes_on_after_an_error(
    h: Harness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    calls, again = 0, asyncio.Event()

    async def fail_once(_: Maintain) -> Maintained:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error
        again.set()
        return Maintained(0, 0)

    monkeypatch.setattr(Maintain, "__call__", fail_once)
    async with going(loops.maintain_forever(h.app)):
        await asyncio.wait_for(again.wait(), 2)
