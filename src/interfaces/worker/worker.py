"""The worker: claims tasks, runs their handlers, settles the outcomes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from cueline.application.advancing import Taker
from cueline.application.application import Application
from cueline.application.context import Context
from cueline.application.hints import Hints
from cueline.application.outcomes import Failed, Outcome, Released
from cueline.application.ports.journal import LogEntry
from cueline.domain.errors import Unavailable, WorkerEvicted
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task
from cueline.domain.worker import BEATS_PER_LEASE, Worker
from cueline.interfaces.worker.attempting import attempted
from cueline.interfaces.worker.finished import SETTLEMENTS, Finished, is_of_step
from cueline.interfaces.worker.held import Held, Interruption
from cueline.interfaces.worker.reports import Reports
from cueline.interfaces.worker.slots import Slots

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

RELEASE_PATIENCE = 5.0
"""How long tasks that are given back may take to stop and be written, in seconds."""


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
        self._held: dict[TaskId, Held] = {}
        self._slots = Slots(options.slots)
        self._reports = Reports(application.record, application.clock)
        self._finished = Finished(options.slots)
        self._worker: Worker | None = None
        self._starting_over = asyncio.Lock()
        self._takes = 0  # claims under way, and settlements that take along what follows
        self._unsettled: set[tuple[TaskId, int]] = set()
        self._suspects: set[tuple[TaskId, int]] = set()
        self._receiving: asyncio.Task[Hints] | None = None
        self._stopping = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is running, within the grace period."""
        self._worker = await self._register(stop)
        if self._worker is None:
            return
        background = [
            asyncio.create_task(self._beat_forever(), name="heartbeat"),
            asyncio.create_task(self._flush_forever(), name="journal"),
            *(
                asyncio.create_task(self._settle_forever(), name=f"settle {number}")
                for number in range(SETTLEMENTS)
            ),
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
        waiting = self._app.claim.receive(self._known_worker(), self._free, CLAIM_WAIT)
        self._receiving = asyncio.create_task(waiting)
        try:
            hints = await self._receiving
        except asyncio.CancelledError:
            if self._stopping.is_set():
                return
            if self._receiving.cancelled() and not _is_being_cancelled():
                raise Unavailable("the broker", "it broke off the waiting") from None
            raise
        worker = self._known_worker()  # the heartbeat may have started over during the wait
        try:
            with self._taking():
                claimed = await self._app.claim.take(worker, self._app.executor.names, hints)
                for task in claimed:
                    self._begin(task)
        except WorkerEvicted:
            await self._start_over(worker)
            return
        if len(claimed) == 1:  # at idle it begins first; many could keep the message for long
            await asyncio.sleep(0)
        await self._app.claim.acknowledge(hints)

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """While tasks become ours in the store of which we have not heard yet."""
        self._takes += 1
        try:
            yield
        finally:
            self._takes -= 1

    async def _wait_for_room(self) -> None:
        """Wait for a free slot, and a moment longer for a batch of them.

        Tasks that end quickly end in droves; claiming each slot as it becomes free would cost a
        transaction for every task.
        """
        while self._free < 1 and not self._stopping.is_set():
            await self._slots.wait()
        if self._free < self._slots.count // BATCH_SHARE:
            await asyncio.sleep(BATCH_WAIT)

    @property
    def _free(self) -> int:
        return 0 if len(self._held) >= MOST_HELD else self._slots.free

    def _stop_claiming(self) -> None:
        """Only the waiting is broken off: a claim that is being made is made, and run."""
        self._stopping.set()
        self._slots.open()
        if self._receiving is not None:
            self._receiving.cancel()

    # --- running ----------------------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        if (held := self._held.get(task.id)) is not None:  # cancelled and requeued meanwhile
            if held.task.version > task.version:  # this claim is the earlier one, and told of late
                return
            held.interrupt(Interruption.REVOKED)
        context = Context.of(task, self._app.integrations, partial(self._reports.add, task))
        runner = asyncio.create_task(self._run(task), name=f"task {task.id}")
        self._held[task.id] = Held(task, context, runner)
        self._slots.fill()

    async def _run(self, task: Task) -> None:
        held = self._held[task.id]
        held.started = True
        outcome: Outcome | None = None
        try:
            outcome = (
                await attempted(held, self._app.executor)
                if held.interruption is None
                else held.broken_off()
            )
        finally:
            held.finished = True
            if outcome is None or not is_of_step(outcome):  # else the next step may want the slot
                self._slots.leave()
        if outcome is None:
            self._forget(held)
        else:
            self._finished.add(outcome)

    def _forget(self, held: Held) -> None:
        if self._held.get(held.task.id) is held:
            del self._held[held.task.id]
        self._slots.open()

    # --- settling ---------------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        """Settle what has finished, all there is at a time: the busier, the larger the batch."""
        while True:
            await self._finished.wait()
            while await self._settle_some():
                pass

    async def _settle_some(self) -> bool:
        with self._finished.some() as finished:
            if outcomes := [outcome for outcome in finished if self._holds(outcome)]:
                await self._settle(outcomes)
            for _ in filter(is_of_step, finished):
                self._slots.leave()
        return bool(finished)

    def _holds(self, outcome: Outcome) -> bool:
        """Whether this is how the attempt at hand ended, not one that a later claim replaced.

        So no task occurs twice in a batch, which a settlement must rely on.
        """
        held = self._held.get(outcome.task.id)
        return held is not None and held.task is outcome.task

    async def _settle(self, outcomes: Sequence[Outcome], *, with_reports: bool = True) -> None:
        """Settle, however long the store is away. Should we be evicted, the fence refuses."""
        while True:
            try:
                settled = {outcome.task.id for outcome in outcomes} if with_reports else set()
                await self._settle_once(outcomes, await self._reports.take(settled))
            except Unavailable as error:
                log.warning("cannot settle %d tasks yet: %s", len(outcomes), error)
                await asyncio.sleep(PAUSE)
                continue
            except Exception as error:
                if len(outcomes) > 1 or with_reports:
                    # something in it is poison: the others must not suffer from it
                    for outcome in outcomes:
                        await self._settle([outcome], with_reports=False)
                    return
                [outcome] = outcomes
                log.exception("the outcome of task %s cannot be settled", outcome.task.id)
                if isinstance(outcome, Failed):  # left to the recovery after our own end
                    self._unsettled.add((outcome.task.id, outcome.task.version))
                else:  # better a failure to be seen and retried than a task that runs for ever
                    failed = Failed(outcome.task, Failure.of(error))
                    await self._settle([failed], with_reports=False)
            for outcome in outcomes:
                if self._holds(outcome):
                    self._forget(self._held[outcome.task.id])
            return

    async def _settle_once(self, outcomes: Sequence[Outcome], entries: list[LogEntry]) -> None:
        steps = 0 if self._stopping.is_set() else sum(map(is_of_step, outcomes))
        taker = Taker(self._known_worker(), self._app.executor.names, steps)
        with self._taking() if steps else nullcontext():
            try:
                settled = await self._app.settle(outcomes, entries, taker)
            except BaseException:
                self._reports.put_back(entries)
                raise
            for task in settled.claimed:
                self._begin(task)
        for id in settled.refused:
            log.warning("task %s has moved on: the outcome of this attempt is refused", id)
        await self._app.record.show(entries)

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            await self._reports.flush()

    # --- staying trusted --------------------------------------------------------------------------

    async def _beat_forever(self) -> None:
        interval = self._app.workers.lease.total_seconds() / BEATS_PER_LEASE
        while True:
            await asyncio.sleep(interval)
            try:
                await self._beat()
            except Exception as error:  # noqa: BLE001  # whatever it is, it must go on
                log.warning("no heartbeat: %s", error)

    async def _beat(self) -> None:
        worker = self._known_worker()
        versions = {id: held.task.version for id, held in self._held.items()}
        try:
            beat = await self._app.workers.heartbeat(worker, versions)
        except WorkerEvicted:
            await self._start_over(worker)
            return
        if self._known_worker().id == worker.id:  # else the claim has started over meanwhile
            self._worker = beat.worker
        for id in beat.revoked:
            held = self._held.get(id)
            if held is not None and held.task.version == versions[id]:
                log.info("task %s was cancelled or taken over; interrupting it", id)
                held.interrupt(Interruption.REVOKED)
        await self._release_strays(beat.strays)

    async def _release_strays(self, strays: Sequence[Task]) -> None:
        """Give back what was claimed for us without our hearing of it, and so never begun.

        Only what two beats in a row have found: a task may be settled while the store looks. And
        not while one is being claimed or taken along. An outcome that cannot be settled is no
        stray: its task was begun, and must not be so for ever.
        """
        unheld = {(task.id, task.version): task for task in strays if task.id not in self._held}
        lost = [unheld[key] for key in unheld.keys() & (self._suspects - self._unsettled)]
        self._suspects = set(unheld)
        if lost and not self._takes:
            log.warning("%d tasks are claimed for us unknown to us; giving them back", len(lost))
            await self._app.settle([Released(task) for task in lost])

    async def _register(self, stop: asyncio.Event) -> Worker | None:
        """Register, however long the store is away; None if it is still away at the stop."""
        while not stop.is_set():
            try:
                return await self._app.workers.register(
                    self._options.name, self._options.queues, self._options.slots
                )
            except Unavailable as error:
                log.warning("cannot register yet: %s", error)
                await asyncio.sleep(PAUSE)
        return None

    async def _start_over(self, evicted: Worker) -> None:
        """After an eviction: everything we hold has gone to others. Drop it and register anew.

        The claim and the heartbeat may both come here for the same eviction; the second must not
        drop what was claimed since.
        """
        async with self._starting_over:
            if self._known_worker().id != evicted.id:
                return
            log.warning("this worker was evicted; dropping %d tasks", len(self._held))
            for held in list(self._held.values()):
                held.interrupt(Interruption.REVOKED)
            if (registered := await self._register(self._stopping)) is not None:
                self._worker = registered

    # --- stopping ---------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let what is running end within the grace period, then give the rest back uncharged."""
        grace = self._options.grace.total_seconds()
        if self._held:
            log.info("stopping: %d tasks have %g s to finish", len(self._held), grace)
        await self._wait_until_empty(grace)
        for held in list(self._held.values()):
            held.interrupt(Interruption.RELEASED)
        await self._wait_until_empty(RELEASE_PATIENCE)

    async def _wait_until_empty(self, seconds: float) -> None:
        """Wait until everything that is held has been settled, or the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._held:
                    await self._slots.wait()

    async def _say_goodbye(self) -> None:
        try:
            await self._reports.flush()
            await self._app.workers.goodbye(self._known_worker())
        except Exception as error:  # noqa: BLE001  # its lease will lapse by itself
            log.warning("no goodbye: %s", error)

    def _known_worker(self) -> Worker:
        if self._worker is None:
            raise RuntimeError("the worker is not registered")
        return self._worker


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
