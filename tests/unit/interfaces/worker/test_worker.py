"""The worker: what becomes of handlers, outcomes and leases."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from cueline.application.context import Context, Snooze
from cueline.application.outcomes import Outcome, Succeeded
from cueline.application.ports.broker import Message
from cueline.application.ports.journal import LogEntry
from cueline.application.settle import Settled, SettleTasks
from cueline.application.tasks import Submission
from cueline.application.workers import Heartbeat, RecordLogs
from cueline.domain.errors import PermanentError, WorkerEvicted
from cueline.domain.json import Json
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import LEASE, Worker, WorkerState
from cueline.interfaces.worker import held as held_module
from cueline.interfaces.worker import worker as worker_module
from tests.unit.interfaces.worker.workshop import (
    PATIENCE,
    RETRY_DELAY,
    Gate,
    Outage,
    Workshop,
    outage,
    until,
)

PAST_THE_LEASE = LEASE.total_seconds() + 1


class Stop(BaseException):
    """What no `except Exception` catches."""


# --- running ------------------------------------------------------------------------------------


async def test_handlers_run_at_once_but_never_more_than_there_are_slots(shop: Workshop) -> None:
    running, most = 0, 0
    full, go_on = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await go_on.wait()
        running -= 1

    shop.on("job", job)
    async with shop.open(slots=3):
        tasks = [await shop.submit() for _ in range(10)]
        await asyncio.wait_for(full.wait(), PATIENCE)
        go_on.set()
        for task in tasks:
            assert (await shop.ended(task)).state is TaskState.SUCCEEDED
    assert most == 3


async def test_what_a_handler_returns_is_the_output(shop: Workshop) -> None:
    shop.on("job", lambda number: {"twice": 2 * number})
    async with shop.open():
        task = await shop.submit(input={"number": 4})
        assert (await shop.ended(task)).output == {"twice": 8}


async def test_a_timeout_fails_the_attempt(shop: Workshop) -> None:
    gate = Gate()
    shop.on("job", gate.handler)
    async with shop.open():
        ended = await shop.ended(await shop.submit(timeout=timedelta(milliseconds=5)))
    assert ended.failure is not None
    assert ended.failure.type == "TimeoutError"
    assert "longer than its timeout of 0.005 s" in ended.failure.message
    assert gate.interrupted.is_set()


async def test_a_timeout_tells_a_handler_in_a_thread_to_stop(shop: Workshop) -> None:
    stopped, too_late = threading.Event(), threading.Event()

    def job(context: Context) -> None:
        while not context.cancelled and not too_late.wait(0.001):
            pass
        stopped.set()

    shop.on("job", job)
    async with shop.open():
        ended = await shop.ended(await shop.submit(timeout=timedelta(milliseconds=5)))
        assert ended.failure is not None
        assert ended.failure.type == "TimeoutError"
        assert await asyncio.to_thread(stopped.wait, PATIENCE)
        too_late.set()


async def test_the_timeout_error_of_a_handler_is_its_own(shop: Workshop) -> None:
    async def job() -> None:
        raise TimeoutError("the printer is slow")

    shop.on("job", job)
    async with shop.open():
        ended = await shop.ended(await shop.submit(timeout=timedelta(seconds=60)))
    assert ended.failure is not None
    assert ended.failure.message == "the printer is slow"


async def test_a_snoozed_task_is_queued_for_later_and_not_charged(shop: Workshop) -> None:
    async def job(context: Context) -> str:
        if context.attempt == 1:
            raise Snooze("1m")
        return "awake"

    shop.on("job", job)
    async with shop.open():
        task = await shop.submit()

        async def snoozed() -> bool:
            return await shop.outcomes(task) == ["snoozed"]

        await until(snoozed)
        queued = await shop.h.task(task.id)
        assert (queued.state, queued.failures) == (TaskState.QUEUED, 0)
        shop.h.clock.advance(60)
        assert (await shop.ended(task)).output == "awake"


async def test_a_permanent_error_is_not_retried(shop: Workshop) -> None:
    async def retried() -> None:
        raise PermanentError("there is no such address")

    shop.on("retried", retried)
    async with shop.open():
        ended = await shop.ended(await shop.submit("retried"))
    assert (ended.state, ended.attempt) == (TaskState.FAILED, 1)


async def test_a_failed_attempt_is_retried(shop: Workshop) -> None:
    async def retried(context: Context) -> int:
        if context.attempt == 1:
            raise ValueError("not yet")
        return context.attempt

    shop.on("retried", retried)
    async with shop.open():
        task = await shop.submit("retried")

        async def failed_once() -> bool:
            return (await shop.h.task(task.id)).failures == 1

        await until(failed_once)
        shop.h.clock.advance(RETRY_DELAY)
        assert (await shop.ended(task)).output == 2


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), asyncio.CancelledError("enough"), Stop("all of it")],
    ids=["SystemExit", "CancelledError", "BaseException"],
)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_whatever_a_handler_raises_the_worker_goes_on(
    shop: Workshop, error: BaseException, threaded: bool
) -> None:
    def in_thread() -> None:
        raise error

    async def on_loop() -> None:
        raise error

    shop.on("job", in_thread if threaded else on_loop)
    shop.on("other", lambda: "fine")
    async with shop.open():
        failed = await shop.ended(await shop.submit())
        assert failed.state is TaskState.FAILED
        assert failed.failure is not None
        assert type(error).__name__ in failed.failure.type
        assert (await shop.ended(await shop.submit("other"))).output == "fine"


async def test_a_thousand_tasks_are_each_done_exactly_once(shop: Workshop) -> None:
    calls: Counter[str] = Counter()

    async def job(context: Context) -> None:
        calls[context.task_id] += 1

    shop.on("job", job)
    async with shop.open(slots=100):
        tasks = [await shop.submit() for _ in range(1000)]
        for task in tasks:
            ended = await shop.ended(task)
            assert (ended.state, ended.attempt, ended.version) == (TaskState.SUCCEEDED, 1, 3)
    assert calls == dict.fromkeys([task.id for task in tasks], 1)


# --- progress and logs --------------------------------------------------------------------------


async def test_logs_are_written_with_the_outcome(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "FLUSH_INTERVAL", 60)

    def job(context: Context) -> None:
        context.log("half")
        context.progress(100, "done")

    shop.on("job", job)
    async with shop.open():
        task = await shop.submit()
        await shop.ended(task)
        assert await shop.logged(task) == ["half", "done"]


async def test_logs_are_written_while_the_task_goes_on(shop: Workshop) -> None:
    gate = Gate()

    async def job(context: Context) -> None:
        context.progress(50, "half")
        await gate()

    shop.on("job", job)
    async with shop.open():
        task = await shop.submit()

        async def written() -> bool:
            return await shop.logged(task) == ["half"]

        await until(written)
        assert (await shop.h.task(task.id)).state is TaskState.RUNNING
        gate.open.set()


def _refuse_the_line(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Have the store refuse one log line, as a database does a level that is too long."""
    settle, record = SettleTasks.__call__, RecordLogs.__call__

    def check(logs: Sequence[LogEntry]) -> None:
        if any(entry.message == line for entry in logs):
            raise ValueError("a line that no store takes")

    async def picky_settle(
        self: SettleTasks, outcomes: Sequence[Outcome], logs: Sequence[LogEntry] = (), *rest: Any
    ) -> Settled:
        check(logs)
        return await settle(self, outcomes, logs, *rest)

    async def picky_record(self: RecordLogs, entries: Sequence[LogEntry]) -> None:
        check(entries)
        await record(self, entries)

    monkeypatch.setattr(SettleTasks, "__call__", picky_settle)
    monkeypatch.setattr(RecordLogs, "__call__", picky_record)


async def test_a_log_line_that_no_store_takes_costs_neither_outcomes_nor_other_lines(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_the_line(monkeypatch, "poison")

    def job(context: Context, line: str) -> None:
        context.log(line)
        context.log("after")

    shop.on("job", job)
    async with shop.open():
        tasks = [await shop.submit(input={"line": line}) for line in ("good", "poison", "fine")]
        for task in tasks:
            assert (await shop.ended(task)).state is TaskState.SUCCEEDED

        async def written() -> bool:
            return [await shop.logged(task) for task in tasks] == [
                ["good", "after"],
                ["after"],
                ["fine", "after"],
            ]

        await until(written)


async def test_lines_that_are_being_written_at_the_stop_are_not_lost(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, hanging = RecordLogs.__call__, asyncio.Event()

    async def hang(self: RecordLogs, entries: Sequence[LogEntry]) -> None:
        if entries and not hanging.is_set():
            hanging.set()
            await asyncio.Event().wait()
        await record(self, entries)

    monkeypatch.setattr(RecordLogs, "__call__", hang)
    gate = Gate()

    async def job(context: Context) -> None:
        context.log("I was here")
        await gate()

    shop.on("job", job)
    async with shop.open(grace=0):
        task = await shop.submit()
        await asyncio.wait_for(hanging.wait(), PATIENCE)
    assert await shop.logged(task) == ["I was here"]


# --- cancelling ---------------------------------------------------------------------------------


async def test_cancelling_a_running_task_interrupts_its_handler(shop: Workshop) -> None:
    gate = Gate()
    contexts: list[Context] = []

    async def job(context: Context) -> None:
        contexts.append(context)
        await gate()

    shop.on("job", job)
    shop.on("other", lambda: "next")
    async with shop.open(slots=1):
        task = await shop.submit()
        await gate.wait()
        await shop.h.app.tasks.cancel([task.id])
        await asyncio.wait_for(gate.interrupted.wait(), PATIENCE)
        assert contexts[0].cancelled
        # its slot is free again
        assert (await shop.ended(await shop.submit("other"))).output == "next"
        assert (await shop.h.task(task.id)).state is TaskState.CANCELLED


async def test_the_result_of_a_cancelled_task_is_refused(
    shop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    async def stubborn() -> str:
        try:
            await gate()
        except asyncio.CancelledError:
            return "anyway"
        return "never"

    shop.on("job", stubborn)
    async with shop.open():
        task = await shop.submit()
        await gate.wait()
        await shop.h.app.tasks.cancel([task.id])
        await asyncio.wait_for(gate.interrupted.wait(), PATIENCE)
    ended = await shop.h.task(task.id)
    assert (ended.state, ended.output) == (TaskState.CANCELLED, None)
    assert "is refused" in caplog.text


async def test_a_handler_that_ends_as_it_is_interrupted_frees_its_slot_once(
    shop: Workshop,
) -> None:
    gate = Gate()
    shop.on("job", gate.handler)
    shop.on("other", lambda: "next")
    heartbeat = shop.h.app.workers.heartbeat

    async def at_the_same_moment(worker: Worker, held: dict[Any, int]) -> Heartbeat:
        beat = await heartbeat(worker, held)
        if beat.revoked:
            gate.open.set()  # the handler is woken in the very turn in which it is interrupted
        return beat

    shop.h.app.workers.heartbeat = at_the_same_moment  # type: ignore[method-assign, assignment]
    async with shop.open(slots=1):
        task = await shop.submit()
        await gate.wait()
        await shop.h.app.tasks.cancel([task.id])
        for _ in range(3):
            assert (await shop.ended(await shop.submit("other"))).output == "next"
    assert (await shop.h.task(task.id)).state is TaskState.CANCELLED


async def test_a_task_that_is_claimed_again_while_its_old_handler_runs_is_done_by_the_new_one(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "BEATS_PER_LEASE", 0.1)  # no heartbeat tells of it first
    first, second = Gate(answer="first"), Gate(answer="second")

    async def job(context: Context) -> Json:
        return await (first if context.attempt == 1 else second)()

    shop.on("job", job)
    async with shop.open():
        task = await shop.submit()
        await first.wait()
        await shop.h.app.tasks.cancel([task.id])
        await shop.h.app.tasks.retry([task.id])
        await second.wait()
        await asyncio.wait_for(first.interrupted.wait(), PATIENCE)
        second.open.set()
        assert (await shop.ended(task)).output == "second"


async def test_both_results_of_a_task_that_was_claimed_twice_do_not_meet_in_one_batch(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "BEATS_PER_LEASE", 0.1)
    settle, busy, go_on = SettleTasks.__call__, asyncio.Event(), asyncio.Event()
    batches: list[list[Task]] = []

    async def slow(
        self: SettleTasks, outcomes: Sequence[Outcome], logs: Sequence[LogEntry] = (), *rest: Any
    ) -> Settled:
        if any(outcome.task.spec.name == "other" for outcome in outcomes):
            busy.set()
            await go_on.wait()
        batches.append([outcome.task for outcome in outcomes])
        return await settle(self, outcomes, logs, *rest)

    attempts: list[int] = []

    async def job(context: Context) -> int:
        attempts.append(context.attempt)
        return context.attempt

    monkeypatch.setattr(SettleTasks, "__call__", slow)
    shop.on("job", job)
    shop.on("other", lambda: None)
    async with shop.open():
        await shop.submit("other")
        await asyncio.wait_for(busy.wait(), PATIENCE)
        task = await shop.submit()

        async def tried(times: int) -> None:
            async def there() -> bool:
                return len(attempts) == times

            await until(there)

        await tried(1)
        await shop.h.app.tasks.cancel([task.id])
        await shop.h.app.tasks.retry([task.id])
        await tried(2)
        go_on.set()
        assert (await shop.ended(task)).output == 2
    assert all(len({task.id for task in batch}) == len(batch) for batch in batches)


# --- eviction -----------------------------------------------------------------------------------


async def test_an_evicted_worker_drops_what_it_holds_and_registers_anew(shop: Workshop) -> None:
    first, second = Gate(), Gate(answer="second")

    async def retried(context: Context) -> Json:
        return await (first if context.attempt == 1 else second)()

    shop.on("retried", retried)
    second.open.set()
    async with shop.open(slots=1):
        task = await shop.submit("retried")
        await first.wait()
        shop.h.clock.advance(PAST_THE_LEASE)
        await shop.h.app.maintain()
        await asyncio.wait_for(first.interrupted.wait(), PATIENCE)
        await shop.registered(2)
        shop.h.clock.advance(RETRY_DELAY)
        ended = await shop.ended(task)
        assert (ended.output, ended.failures) == ("second", 1)
    states = Counter(worker.state for worker in await shop.workers())
    assert states == {WorkerState.LOST: 1, WorkerState.STOPPED: 1}


async def test_the_result_of_a_worker_that_slept_past_its_lease_is_refused(
    shop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    sleeper, awake = Gate(answer="the sleeper"), Gate(answer="the other")
    shop.on("retried", sleeper.handler)
    asleep = asyncio.Event()
    heartbeat = shop.h.app.workers.heartbeat

    async def oversleep(worker: Worker, held: dict[Any, int]) -> Heartbeat:
        await asleep.wait()
        return await heartbeat(worker, held)

    shop.h.app.workers.heartbeat = oversleep  # type: ignore[method-assign, assignment]
    other = Workshop(beside=shop)
    other.on("retried", awake.handler)
    async with shop.open(slots=1):
        task = await shop.submit("retried")
        await sleeper.wait()
        shop.h.clock.advance(PAST_THE_LEASE)
        assert (await other.h.app.maintain()).recovered == 1
        shop.h.clock.advance(RETRY_DELAY)
        async with other.open(slots=1):
            await awake.wait()
            sleeper.open.set()

            async def refused() -> bool:
                return "is refused" in caplog.text

            await until(refused)
            held = await shop.h.task(task.id)
            assert (held.state, held.output) == (TaskState.RUNNING, None)
            asleep.set()
            awake.open.set()
            assert (await shop.ended(task)).output == "the other"


async def test_an_eviction_that_claim_and_heartbeat_notice_at_once_is_answered_once(
    shop: Workshop,
) -> None:
    gate = Gate(answer="kept")
    shop.on("job", gate.handler)
    heartbeat, late = shop.h.app.workers.heartbeat, asyncio.Event()

    async def answered_late(worker: Worker, held: dict[Any, int]) -> Heartbeat:
        try:
            return await heartbeat(worker, held)
        except WorkerEvicted:
            await late.wait()  # meanwhile the claim has noticed too
            raise

    shop.h.app.workers.heartbeat = answered_late  # type: ignore[method-assign, assignment]
    async with shop.open():
        await shop.registered()
        shop.h.clock.advance(PAST_THE_LEASE)
        [evicted] = await shop.workers()
        async with shop.h.store.write() as uow:
            await uow.workers.save(evicted.evict(shop.h.clock.now()), evicted.lease_until)
            await uow.commit()
        await shop.h.broker.publish([_hint(await shop.submit())])
        await shop.registered(2)
        task = await shop.submit()
        await gate.wait()
        late.set()
        for _ in range(20):
            await asyncio.sleep(0)
        gate.open.set()
        assert (await shop.ended(task)).output == "kept"
    assert len(await shop.workers()) == 2
    assert not gate.interrupted.is_set()


def _hint(task: Task) -> Message:
    return Message(task.id, task.spec.queue, task.spec.priority)


async def test_a_cancellation_in_the_turn_of_a_claim_leaves_no_slot_taken(shop: Workshop) -> None:
    calls: list[str] = []
    shop.on("job", lambda: calls.append("job"))
    shop.on("other", lambda: "fine")
    async with shop.open(slots=1) as running:
        await shop.registered()
        take, begin = shop.h.app.claim.take, running.loop._begin
        task = await shop.submit(run_at=shop.h.clock.now() + timedelta(minutes=1))

        async def take_and_cancel(*args: Any) -> list[Task]:
            claimed = await take(*args)
            if task.id in {each.id for each in claimed}:
                await shop.h.app.tasks.cancel([task.id])
            return claimed

        def begin_and_interrupt(begun: Task) -> None:
            begin(begun)
            if begun.id == task.id:  # before the first step of what was made just now
                running.loop._held[task.id].interrupt(held_module.Interruption.REVOKED)

        shop.h.app.claim.take = take_and_cancel  # type: ignore[method-assign, assignment]
        running.loop._begin = begin_and_interrupt  # type: ignore[method-assign, assignment]
        shop.h.clock.advance(60)
        await shop.in_state(task, TaskState.CANCELLED)
        assert (await shop.ended(await shop.submit("other"))).output == "fine"
        assert calls == []

        async def empty() -> bool:
            return not running.loop._held

        await until(empty)


# --- trouble ------------------------------------------------------------------------------------


async def test_a_result_is_written_once_the_store_is_back(shop: Workshop) -> None:
    gate = Gate(answer="at last")
    shop.on("job", gate.handler)
    async with shop.open():
        task = await shop.submit()
        await gate.wait()
        with outage(shop) as away:
            gate.open.set()

            async def asked_often() -> bool:
                return away.asked > 10

            await until(asked_often)
        ended = await shop.ended(task)
        assert (ended.output, ended.attempt) == ("at last", 1)


@pytest.mark.parametrize("operation", ["heartbeat", "register"])
@pytest.mark.parametrize("error", [None, OSError("wires")], ids=["Unavailable", "OSError"])
async def test_trouble_with_the_lease_is_survived(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, operation: str, error: Exception | None
) -> None:
    shop.on("job", lambda: "fine")
    away = Outage()

    async def fail(*_: Any) -> Any:
        if error is None:
            away.refuse()
        away.asked += 1
        away._was_asked.set()
        raise error or AssertionError

    async with shop.open():
        await shop.registered()
        with monkeypatch.context() as patch:
            patch.setattr(shop.h.app.workers, operation, fail)
            if operation == "register":  # it comes to that after an eviction
                shop.h.clock.advance(PAST_THE_LEASE)
                [worker] = await shop.workers()
                async with shop.h.store.write() as uow:
                    evicted = worker.evict(shop.h.clock.now())
                    await uow.workers.save(evicted, worker.lease_until)
                    await uow.commit()
            await away.felt()
        if operation == "register":
            await shop.registered(2)
        assert (await shop.ended(await shop.submit())).output == "fine"


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("receive", "Unavailable"),
        ("receive", "OSError"),
        ("receive", "CancelledError"),  # as a client whose connection breaks may raise
        ("take", "Unavailable"),
        ("take", "OSError"),
    ],
)
async def test_trouble_with_claiming_is_survived(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, operation: str, error: str
) -> None:
    shop.on("job", lambda: "fine")
    away = Outage()

    async def fail(*_: Any) -> Any:
        away.asked += 1
        away._was_asked.set()
        if error == "Unavailable":
            away.refuse()
        raise OSError("wires") if error == "OSError" else asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(shop.h.app.claim, operation, fail)
        async with shop.open():
            task = await shop.submit()
            await away.felt()
            patch.undo()
            shop.h.clock.advance(60)  # the hint that was lost comes again
            assert (await shop.ended(task)).output == "fine"


async def test_a_worker_registers_when_the_store_comes_up(shop: Workshop) -> None:
    shop.on("job", lambda: "fine")
    with outage(shop) as away:
        running = shop.start()
        await away.felt()
    await shop.registered()
    assert (await shop.ended(await shop.submit())).output == "fine"
    await running.finish()


async def test_a_poison_outcome_does_not_hold_up_the_others(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settle = SettleTasks.__call__
    gate = Gate()

    async def picky(
        self: SettleTasks, outcomes: Sequence[Outcome], logs: Sequence[LogEntry] = (), *rest: Any
    ) -> Settled:
        if any(out.task.id == poison.id and isinstance(out, Succeeded) for out in outcomes):
            raise ValueError("an output that no store takes")
        return await settle(self, outcomes, logs, *rest)

    monkeypatch.setattr(SettleTasks, "__call__", picky)
    shop.on("job", gate.handler)
    async with shop.open():
        tasks = [await shop.submit() for _ in range(4)]
        poison = tasks[1]
        for task in tasks:
            await shop.in_state(task, TaskState.RUNNING)
        gate.open.set()
        for task in (tasks[0], *tasks[2:]):
            assert (await shop.ended(task)).state is TaskState.SUCCEEDED
        assert (await shop.ended(await shop.submit())).state is TaskState.SUCCEEDED
        # It is settled as a failure that can be seen, and retried as its policy says.
        assert (await shop.h.task(poison.id)).failure is not None
    assert f"the outcome of task {poison.id} cannot be settled" in caplog.text


# --- stopping -----------------------------------------------------------------------------------


async def test_a_stopping_worker_claims_no_more_and_says_goodbye(shop: Workshop) -> None:
    gate = Gate(answer="done")
    shop.on("job", gate.handler)
    async with shop.open() as running:
        task = await shop.submit()
        await gate.wait()
        running.stop.set()
        await asyncio.sleep(0)
        late = await shop.submit()
        gate.open.set()
        await running.finish()
        assert (await shop.h.task(task.id)).output == "done"
        assert (await shop.h.task(late.id)).attempt == 0
        [worker] = await shop.workers()
        assert worker.state is WorkerState.STOPPED


async def test_what_outlasts_the_grace_is_given_back_uncharged(shop: Workshop) -> None:
    gate = Gate()
    shop.on("job", gate.handler)
    async with shop.open(grace=0.005):
        task = await shop.submit()
        await gate.wait()
    released = await shop.h.task(task.id)
    assert gate.interrupted.is_set()
    assert (released.state, released.failures) == (TaskState.QUEUED, 0)
    assert await shop.outcomes(task) == ["released"]


@pytest.mark.parametrize("grace", [1.0, 0.0])
async def test_a_claim_under_way_at_the_stop_is_not_forgotten(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    gate = Gate()
    if grace:
        gate.open.set()
    shop.on("job", gate.handler)
    take, claimed, go_on = shop.h.app.claim.take, asyncio.Event(), asyncio.Event()

    async def slow(*args: Any) -> list[Task]:
        tasks = await take(*args)
        if tasks:
            claimed.set()
            await go_on.wait()
        return tasks

    monkeypatch.setattr(shop.h.app.claim, "take", slow)
    async with shop.open(grace=grace) as running:
        task = await shop.submit()
        await asyncio.wait_for(claimed.wait(), PATIENCE)
        running.stop.set()
        await asyncio.sleep(0.002)
        assert not running.ended.done()
        go_on.set()
        await running.finish()
    state = (await shop.h.task(task.id)).state
    assert state is (TaskState.SUCCEEDED if grace else TaskState.QUEUED)


async def _ends_in_time(ended: Awaitable[None]) -> None:
    await asyncio.wait_for(ended, 0.5)


async def test_a_worker_that_could_not_register_yet_stops_at_once(shop: Workshop) -> None:
    with outage(shop) as away:
        running = shop.start()
        await away.felt()
        running.stop.set()
        await _ends_in_time(running.ended)
    assert await shop.workers() == []


async def test_a_worker_that_is_stopped_before_it_begins_registers_nothing(
    shop: Workshop,
) -> None:
    running = shop.start()
    running.stop.set()
    await _ends_in_time(running.ended)
    assert await shop.workers() == []


@pytest.mark.parametrize("ends", [False, True], ids=["still running", "just finished"])
async def test_a_worker_stops_in_time_though_the_store_is_away(shop: Workshop, ends: bool) -> None:
    gate = Gate()
    shop.on("job", gate.handler)
    running = shop.start(grace=0.01)
    await shop.registered()
    task = await shop.submit()
    await gate.wait()
    with outage(shop) as away:
        if ends:
            gate.open.set()
        await away.felt()
        running.stop.set()
        await _ends_in_time(running.ended)
    assert (await shop.h.task(task.id)).state is TaskState.RUNNING  # its lease will lapse
    shop.h.clock.advance(PAST_THE_LEASE)
    assert (await shop.h.app.maintain()).recovered == 1


async def test_an_evicted_worker_that_cannot_register_stops_in_time(shop: Workshop) -> None:
    gate = Gate()
    shop.on("job", gate.handler)
    running = shop.start(grace=0.01)
    await shop.registered()
    await shop.submit()
    await gate.wait()
    away = Outage()
    shop.h.app.workers.register = away.refuse_later  # type: ignore[method-assign]
    shop.h.clock.advance(PAST_THE_LEASE)
    await shop.h.app.maintain()
    await away.felt()
    running.stop.set()
    await _ends_in_time(running.ended)
    assert gate.interrupted.is_set()


async def test_a_handler_that_will_not_stop_does_not_hold_up_the_stop(shop: Workshop) -> None:
    entered, let_go = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        entered.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    shop.on("job", stubborn)
    running = shop.start(grace=0.01)
    await shop.registered()
    task = await shop.submit()
    await asyncio.wait_for(entered.wait(), PATIENCE)
    running.stop.set()
    await _ends_in_time(running.ended)
    let_go.set()
    await asyncio.sleep(0)
    assert (await shop.h.app.maintain()).recovered == 1
    assert (await shop.h.task(task.id)).state is TaskState.FAILED


@pytest.mark.parametrize("count", [1, 2])
async def test_a_single_task_begins_at_once_and_of_many_the_messages_go_first(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    happened: list[str] = []
    acknowledge = shop.h.app.claim.acknowledge

    async def noted(hints: Any) -> None:
        if hints.deliveries:
            happened.append("acknowledged")
        await acknowledge(hints)

    shop.on("job", lambda: happened.append("begun"))
    tasks = [each.task for each in await shop.h.app.submit([Submission("job", {})] * count)]
    monkeypatch.setattr(shop.h.app.claim, "acknowledge", noted)
    async with shop.open(slots=4):
        for task in tasks:
            await shop.ended(task)
    assert happened[: count + 1] == (
        ["begun", "acknowledged"] if count == 1 else ["acknowledged", "begun", "begun"]
    )
