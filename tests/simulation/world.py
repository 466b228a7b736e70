"""The world: servers, hosts with processes on them, and what is remembered of it all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from typing import TypeVar

from cueline.application.application import Application
from cueline.domain.errors import CuelineError
from cueline.domain.identifiers import TaskId
from cueline.infrastructure.memory.broker import MemoryBroker
from tests.doubles import RisingIds
from tests.simulation.chronicle import Chronicle
from tests.simulation.clocks import HostClock, TrueClock
from tests.simulation.database import Commit, Database
from tests.simulation.handlers import Executions
from tests.simulation.ledger import Ledger
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.processes import Process
from tests.simulation.randomness import Streams
from tests.simulation.surroundings import CallOdds, Surroundings

T = TypeVar("T")


class World(Surroundings):
    """Everything that a plan happens to."""

    def __init__(self, loop: VirtualLoop, plan: Plan, *, keep_trace: bool = False) -> None:
        self.loop = loop
        self.plan = plan
        self.streams = Streams(plan.seed)
        self.clock = TrueClock(loop)
        self.database = Database(self.clock, plan.isolation)
        self.database.watchers.append(self._watch)
        self.broker = MemoryBroker(self.clock, redelivery=20.0)
        self.ids = RisingIds()
        self.executions = Executions()
        self.chronicle = Chronicle(loop.time)
        self.database.watchers.append(self.chronicle.watch)
        self.ledger = Ledger(self.chronicle)
        self.odds = replace(plan.calls)
        self.message_odds = replace(plan.messages)
        self.clocks = {host: HostClock(self.clock) for host in plan.hosts}
        self.processes: dict[str, Process] = {}
        self._former: list[Process] = []  # ended, with requests under way perhaps
        self.broker_is_lost = False
        self.is_healed = False
        self.lives: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.open: dict[str, None] = {}
        self.waiting = 0
        """How many clients wait for an answer."""
        self.recoveries: list[float] = []
        self.trace: list[str] = []
        self._keeps_trace = keep_trace
        self._digest = blake2b(digest_size=8)
        self._lost_at: dict[tuple[TaskId, int], float] = {}

    # --- what is remembered -----------------------------------------------------------------------

    def note(self, what: str) -> None:
        """Write a line of the trace."""
        line = f"{self.loop.time():9.4f} {what}"
        self._digest.update(line.encode())
        if self._keeps_trace:
            self.trace.append(line)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def count(self, fault: str) -> None:
        """Note that a fault was injected."""
        self.faults[fault] += 1

    @property
    def trace_hash(self) -> str:
        """Equal for two runs in which the same happened."""
        return self._digest.hexdigest()

    def _watch(self, commit: Commit) -> None:
        for task in commit.tasks:
            after = task.after
            self.note(f"task {after.spec.input.get('label')} {after.state} v{after.version}")
            self._track(after.id, ended=after.state.ended)
            if task.before is not None:
                lost = self._lost_at.pop((after.id, task.before.version), None)
                if lost is not None:
                    self.recoveries.append(self.loop.time() - lost)
        for run in commit.runs:
            self.note(f"run {run.after.id} {run.after.state} v{run.after.version}")
            self._track(run.after.id, ended=run.after.state.ended)

    def _track(self, id: str, *, ended: bool) -> None:
        if ended:
            self.open.pop(id, None)
        else:
            self.open[id] = None

    @property
    def is_busy(self) -> bool:
        """Whether a task, a run or a handler has not come to its end, or a client waits."""
        return bool(self.open or self.waiting) or any(self.executions.under_way.values())

    # --- hosts and processes ----------------------------------------------------------------------

    def start(self, host: str) -> None:
        """Start a process on a host, unless one is running there."""
        if host in self.processes and not self.processes[host].has_ended:
            return
        if host in self.processes:
            self._former.append(self.processes[host])
        self.lives[host] += 1
        name = f"{host}.{self.lives[host]}"
        process = Process(self, name, self.clocks[host], self.plan.hosts[host])
        process.to_broker.is_cut = self.broker_is_lost
        self.processes[host] = process

    async def restart(self, host: str) -> None:
        """Start a process on a host once the one that was told to end has ended."""
        while self.processes[host].is_stopping and not self.processes[host].has_ended:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        self.start(host)

    async def kill(self, host: str) -> None:
        """Kill the process on a host, and note what it held."""
        self.strike(host)
        await self.processes[host].kill()

    def strike(self, host: str) -> None:
        """The same, from within a call of its own: what is left of it is for `kill` to remove."""
        process = self.processes[host]
        if process.has_ended:
            return
        workers = self.database.tables.workers.rows
        for task in self.database.tables.tasks.rows.values():
            if task.worker_id is not None and not task.state.ended:
                worker = workers.get(task.worker_id)
                if worker is not None and worker.name == process.name:
                    self._lost_at[task.id, task.version] = self.loop.time()
        process.die()

    def answering(self, preferred: str) -> Iterator[Process]:
        """The processes that may answer a request, the preferred host's first."""
        for host in (preferred, *(name for name in self.processes if name != preferred)):
            process = self.processes.get(host)
            if process is not None and not process.has_ended and not process.is_frozen:
                yield process

    async def ask(
        self,
        host: str,
        request: Callable[[Application], Awaitable[T]],
        patience: float | None = None,
        refused: Callable[[CuelineError], None] = lambda _: None,
    ) -> T | None:
        """What a process answers; None if it died over it, refused, or there is nobody to ask.

        Nor does somebody get an answer who does not wait for it, with a `patience` in seconds. A
        refusal is told to `refused`.
        """
        for process in self.answering(host):
            self.waiting += 1
            try:
                return await process.ask(request, patience)
            except CuelineError as refusal:
                self.note(f"{process.name} refused: {type(refusal).__name__}")
                refused(refusal)
                return None
            finally:
                self.waiting -= 1
        return None

    # --- the end of the faults --------------------------------------------------------------------

    def heal(self) -> None:
        """From now on everything works: faults stop, and whoever is away comes back."""
        self.note("healed")
        self.is_healed = True
        self.odds = CallOdds()
        for odd in ("dropped", "doubled", "delayed", "reordered"):
            setattr(self.message_odds, odd, 0.0)
        for process in (*self._former, *self.processes.values()):
            process.to_store.is_cut = False
            process.to_broker.is_cut = self.broker_is_lost
            process.to_store.is_silent = process.to_broker.is_silent = False
            process.ambushes.clear()
            process.thaw()
        for host in self.plan.hosts:
            self.clocks[host].error = timedelta(0)
            self.loop.begin(self.restart(host))

    async def close(self) -> None:
        """Leave nothing behind."""
        for process in (*self._former, *self.processes.values()):
            await process.kill()
        while len(left := asyncio.all_tasks(self.loop)) > 1:
            for task in left - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
