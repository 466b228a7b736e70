"""The worker: claims tasks, runs their handlers, settles the outcomes."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import partial

from cueline.application.application import Application
from cueline.application.context import Context, Report, Snooze
from cueline.application.outcomes import Failed, Outcome, Released, Snoozed, Succeeded
from cueline.application.ports.broker import Delivery
from cueline.application.ports.persistence import LogEntry
from cueline.domain.errors import Unavailable, WorkerEvicted
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task
from cueline.domain.worker import BEATS_PER_LEASE, Worker

log = logging.getLogger(__name__)

CLAIM_WAIT = 5.0
"""How long one claim waits for a first hint, in seconds."""

FLUSH_INTERVAL = 0.25
"""How often log lines and progress of tasks that go on are written, in seconds."""

PAUSE = 1.0
"""How long to wait after the store did not answer, in seconds."""

MOST_HELD = 1000
"""How many tasks may be held, running or waiting to be settled, before no more are claimed."""

BATCH_SHARE = 4
"""A worker claims at once when a quarter of its slots are free, else after `BATCH_WAIT`."""

BATCH_WAIT = 0.005
"""How long a worker waits for more of its slots to become free, in seconds."""

MOST_SETTLED = 500
"""How many tasks are settled in one transaction."""

RELEASE_PATIENCE = 5.0
"""How long tasks that are given back may take to stop and be written, in seconds."""


_UNLIMITED = nullcontext()


class _Interruption(Enum):
    """Why a handler was interrupted."""

    REVOKED = auto()  # the task is no longer ours: say nothing
    RELEASED = auto()  # the worker shuts down: give the task back


@dataclass(slots=True)
class _Held:
    """A task that this worker holds, until its outcome is settled."""

    task: Task
    context: Context
    runner: asyncio.Task[None]
    interruption: _Interruption | None = None
    finished: bool = False

    def interrupt(self, why: _Interruption) -> None:
        """Stop the handler. A finished one is left to settle."""
        if not self.finished and self.interruption is None:
            self.interruption = why
            self.context.interruption.requested = True
            self.runner.cancel()


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works: as whom, from which queues, how many tasks at once, and its patience."""

    name: str
    queues: tuple[str, ...]
    slots: int
    grace: timedelta


class WorkerLoop:
    """One worker. It claims while it has free slots, and knows at every moment what it holds."""

    def __init__(self, application: Application, options: WorkerOptions) -> None:
        self._app = application
        self._options = options
        self._held: dict[TaskId, _Held] = {}
        self._running = 0
        self._room = asyncio.Event()
        self._reports: deque[LogEntry] = deque()
        self._finished: deque[Outcome] = deque()
        self._any_finished = asyncio.Event()
        self._worker: Worker | None = None
        self._receiving: asyncio.Task[list[Delivery]] | None = None
        self._stopping = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is running, within the grace period."""
        self._worker = await self._register()
        background = [
            asyncio.create_task(self._beat_forever(), name="heartbeat"),
            asyncio.create_task(self._flush_forever(), name="journal"),
            asyncio.create_task(self._settle_forever(), name="settle"),
        ]
        claiming = asyncio.create_task(self._claim_until_stopped(), name="claim")
        try:
            await stop.wait()
        finally:
            self._stop_claiming()
            await claiming
            await self._drain()
            await _cancel(background)
            await self._say_goodbye()

    # --- claiming ---------------------------------------------------------------------------------

    async def _claim_until_stopped(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._claim()
            except WorkerEvicted:
                await self._start_over()
            except Unavailable as error:
                log.warning("cannot claim: %s", error)
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("claiming failed")
                await asyncio.sleep(PAUSE)

    async def _claim(self) -> None:
        await self._wait_for_room()
        if self._stopping.is_set():
            return
        worker = self._known_worker()
        free = self._free
        self._receiving = asyncio.create_task(self._app.claim.receive(worker, free, CLAIM_WAIT))
        try:
            deliveries = await self._receiving
        except asyncio.CancelledError:
            if self._stopping.is_set():
                return
            raise
        for task in await self._app.claim.take(worker, self._app.executor.names, deliveries):
            self._begin(task)
        await self._app.claim.acknowledge(deliveries)

    async def _wait_for_room(self) -> None:
        """Wait for a free slot, and a moment longer for a batch of them.

        Tasks that end quickly end in droves; claiming each slot as it becomes free would cost a
        transaction for every task.
        """
        while self._free < 1 and not self._stopping.is_set():
            self._room.clear()
            await self._room.wait()
        if self._free < self._options.slots // BATCH_SHARE:
            await asyncio.sleep(BATCH_WAIT)

    @property
    def _free(self) -> int:
        return 0 if len(self._held) >= MOST_HELD else self._options.slots - self._running

    def _stop_claiming(self) -> None:
        """Only the waiting is broken off: a claim that is being made is made, and run."""
        self._stopping.set()
        self._room.set()
        if self._receiving is not None:
            self._receiving.cancel()

    # --- running ----------------------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        context = Context.of(task, self._app.integrations, partial(self._take_report, task))
        runner = asyncio.create_task(self._run(task), name=f"task {task.id}")
        self._held[task.id] = _Held(task, context, runner)
        self._running += 1

    async def _run(self, task: Task) -> None:
        held = self._held[task.id]
        try:
            outcome = await self._attempt(held)
        finally:
            held.finished = True
            self._running -= 1
            self._room.set()
        if outcome is None:
            self._forget(held)
        else:
            self._finished.append(outcome)
            self._any_finished.set()

    def _forget(self, held: _Held) -> None:
        if self._held.get(held.task.id) is held:
            del self._held[held.task.id]
        self._room.set()

    async def _attempt(self, held: _Held) -> Outcome | None:
        """Run the handler and say how it ended; None if that is nobody's business any more."""
        task = held.task
        timeout = task.spec.timeout
        limit = None if timeout is None else asyncio.timeout(timeout.total_seconds())
        try:
            async with limit or _UNLIMITED:
                output = await self._app.executor.execute(task, held.context)
        except asyncio.CancelledError as error:
            match held.interruption:
                case _Interruption.REVOKED:
                    return None
                case _Interruption.RELEASED:
                    return Released(task)
                case None:  # the handler cancelled itself
                    return Failed(task, Failure.of(error))
        except Snooze as snooze:
            return Snoozed(task, snooze.delay)
        except BaseException as error:
            if limit is not None and timeout is not None and limit.expired():
                held.context.interruption.requested = True
                return Failed(task, Failure.timed_out(timeout.total_seconds()))
            if isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
            return Failed(task, Failure.of(error))
        return Succeeded(task, output)

    # --- settling ---------------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        """Settle what has finished, all there is at a time: the busier, the larger the batch."""
        while True:
            await self._any_finished.wait()
            self._any_finished.clear()
            while self._finished:
                count = min(len(self._finished), MOST_SETTLED)
                await self._settle([self._finished.popleft() for _ in range(count)])

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Settle, however long the store is away. Should we be evicted, the fence refuses."""
        while True:
            try:
                await self._settle_once(outcomes)
            except Unavailable as error:
                log.warning("cannot settle %d tasks yet: %s", len(outcomes), error)
                await asyncio.sleep(PAUSE)
                continue
            except Exception:
                if len(outcomes) == 1:
                    log.exception("task %s not settled; it is left", outcomes[0].task.id)
                else:  # something in it is poison: the others must not suffer from it
                    for outcome in outcomes:
                        await self._settle([outcome])
                    return
            for outcome in outcomes:
                held = self._held.get(outcome.task.id)
                if held is not None and held.task is outcome.task:
                    self._forget(held)
            return

    async def _settle_once(self, outcomes: Sequence[Outcome]) -> None:
        entries = self._take_reports()
        try:
            settled = await self._app.settle(outcomes, entries)
        except BaseException:
            self._reports.extendleft(reversed(entries))
            raise
        for id in settled.refused:
            log.warning("task %s has moved on: the outcome of this attempt is refused", id)
        await self._app.record.show(entries)

    def _take_report(self, task: Task, report: Report) -> None:
        """Called by handlers, from any thread."""
        now = self._app.clock.now()
        entry = LogEntry(task.id, task.attempt, now, report.level, report.message, report.fields)
        self._reports.append(entry)

    def _take_reports(self) -> list[LogEntry]:
        return [self._reports.popleft() for _ in range(len(self._reports))]

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            entries = self._take_reports()
            try:
                await self._app.record(entries)
            except Exception as error:  # noqa: BLE001  # whatever it is, it must go on
                log.warning("%d log lines not written yet: %s", len(entries), error)
                self._reports.extendleft(reversed(entries))

    # --- staying trusted --------------------------------------------------------------------------

    async def _beat_forever(self) -> None:
        interval = self._app.workers.lease.total_seconds() / BEATS_PER_LEASE
        while True:
            await asyncio.sleep(interval)
            try:
                await self._beat()
            except WorkerEvicted:
                await self._start_over()
            except Exception as error:  # noqa: BLE001  # whatever it is, it must go on
                log.warning("no heartbeat: %s", error)

    async def _beat(self) -> None:
        versions = {id: held.task.version for id, held in self._held.items() if not held.finished}
        beat = await self._app.workers.heartbeat(self._known_worker(), versions)
        self._worker = beat.worker
        for id in beat.revoked:
            held = self._held.get(id)
            if held is not None and held.task.version == versions[id]:
                log.info("task %s was cancelled or taken over; interrupting it", id)
                held.interrupt(_Interruption.REVOKED)

    async def _register(self) -> Worker:
        while True:
            try:
                return await self._app.workers.register(
                    self._options.name, self._options.queues, self._options.slots
                )
            except Unavailable as error:
                log.warning("cannot register yet: %s", error)
                await asyncio.sleep(PAUSE)

    async def _start_over(self) -> None:
        """After an eviction: everything we hold has gone to others. Drop it and register anew."""
        log.warning(
            "this worker was evicted; dropping %d tasks and registering anew", len(self._held)
        )
        for held in list(self._held.values()):
            held.interrupt(_Interruption.REVOKED)
        self._worker = await self._register()

    # --- stopping ---------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let what is running end within the grace period, then give the rest back uncharged."""
        grace = self._options.grace.total_seconds()
        if self._held:
            log.info("stopping: %d tasks have %g s to finish", len(self._held), grace)
        await self._wait_until_empty(grace)
        for held in list(self._held.values()):
            held.interrupt(_Interruption.RELEASED)
        await self._wait_until_empty(RELEASE_PATIENCE)

    async def _wait_until_empty(self, seconds: float) -> None:
        """Wait until everything that is held has been settled, or the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._held:
                    self._room.clear()
                    await self._room.wait()

    async def _say_goodbye(self) -> None:
        try:
            await self._app.record(self._take_reports())
            await self._app.workers.goodbye(self._known_worker())
        except Exception as error:  # noqa: BLE001  # its lease will lapse by itself
            log.warning("no goodbye: %s", error)

    def _known_worker(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the worker is not registered")
        return self._worker


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
