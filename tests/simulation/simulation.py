"""Running one plan."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.simulation import (  # each registers its checks
    attempt_invariants,
    execution_invariants,
    run_invariants,
    task_invariants,
)
from tests.simulation.calm import Calm
from tests.simulation.database import Commit
from tests.simulation.kinds import happen
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.plan import Happening, Plan
from tests.simulation.processes import Killed
from tests.simulation.violations import AT_COMMIT, AT_END, Violation, check_commit, check_end
from tests.simulation.workload import resume_queues, see_to_the_rest
from tests.simulation.world import World

REGISTERED = (attempt_invariants, execution_invariants, run_invariants, task_invariants)

PATIENCE = 900.0
"""How long everything may take to end after the faults have stopped, in virtual seconds.

The lease, the sweep and the timeouts come to less than a minute. The rest is the longest distance
between two dispatches of a task whose messages were lost again and again, and what a clock that was
ahead has put off.
"""

LOOK = 0.5
"""How often it is looked whether everything has ended, in virtual seconds."""


@dataclass(slots=True)
class Report:
    """What came of a simulation."""

    seed: int
    violation: Violation | None = None
    trace_hash: str = ""
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0
    ended_after: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)


def simulate(plan: Plan, *, keep_trace: bool = False) -> Report:
    """Let a plan happen, and look whether everything holds."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    simulation = _Simulation(World(loop, plan, keep_trace=keep_trace))
    try:
        return loop.run_until_complete(simulation.run())
    except Stuck as stuck:
        return simulation.report(Violation("I9", str(stuck)))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Simulation:
    def __init__(self, world: World) -> None:
        self._world = world
        self._broken: asyncio.Future[Violation] = world.loop.create_future()
        self._checks = 0
        self._healed_at = 0.0
        world.database.watchers.append(self._check)
        world.loop.set_exception_handler(self._take_error)

    async def run(self) -> Report:
        living = asyncio.create_task(self._live())
        waiting: set[asyncio.Future[Any]] = {living, self._broken}
        await asyncio.wait(
            waiting,
            timeout=self._world.plan.horizon + 2 * PATIENCE,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._broken.done():
            violation: Violation | None = self._broken.result()
        else:
            violation = _outcome(living) if living.done() else Violation("I9", self._what_is_left())
        report = self.report(violation)
        living.cancel()
        self._world.database.watchers.clear()
        await self._world.close()
        return report

    def report(self, violation: Violation | None) -> Report:
        world = self._world
        executions = world.executions
        return Report(
            seed=world.plan.seed,
            violation=violation,
            trace_hash=world.trace_hash,
            trace=world.trace,
            seconds=world.loop.time(),
            ended_after=max(0.0, world.loop.time() - self._healed_at),
            faults=world.faults,
            figures=Counter(
                {
                    "tasks": len(world.database.tables.tasks.rows),
                    "runs": len(world.database.tables.runs.rows),
                    "commits": world.database.commits,
                    "checks": self._checks,
                    "executions": len(executions.all),
                    "duplicate executions": executions.duplicates,
                    "waits for a lock": world.database.locks.waits,
                    "deadlocks broken": world.database.locks.deadlocks,
                    "outdated commits": world.database.outdated,
                }
            ),
            recoveries=world.recoveries,
        )

    async def _live(self) -> Violation | None:
        world = self._world
        for host in world.plan.hosts:
            world.start(host)
        for happening in world.plan.happenings:
            world.loop.outside(happening.at, self._let, happening)
        await asyncio.sleep(world.plan.horizon)
        world.heal()
        self._healed_at = world.loop.time()
        await resume_queues(world)
        while world.is_busy:
            if world.loop.time() > self._healed_at + PATIENCE:
                return Violation("I9", self._what_is_left())
            await see_to_the_rest(world)
            await asyncio.sleep(LOOK)
        if world.plan.calm and not world.broker_is_lost:
            for wrong in await Calm(world, self._healed_at).spend():
                return Violation("calm", wrong)
        self._checks += len(AT_END)
        return next(check_end(world), None)

    def _let(self, happening: Happening) -> None:
        self._world.loop.begin(happen(self._world, happening))

    def _check(self, commit: Commit) -> None:
        self._checks += len(AT_COMMIT)
        for violation in check_commit(commit):
            self._break(violation)

    def _break(self, violation: Violation) -> None:
        if not self._broken.done():
            self._world.note(str(violation))
            self._broken.set_result(violation)

    def _take_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, (Killed, asyncio.CancelledError)):
            self._break(Violation("error", f"{context.get('message')}: {error!r}"))

    def _what_is_left(self) -> str:
        tables = self._world.database.tables
        left = [
            f"{row.spec.input.get('label')} is {row.state} (attempt {row.attempt}, "
            f"worker {row.worker_id}, due {row.dispatch_at})"
            for row in tables.tasks.rows.values()
            if not row.state.ended
        ]
        left += [
            f"run {row.id} is {row.state}"
            for row in tables.runs.rows.values()
            if not row.state.ended
        ]
        workers = [f"worker {w.id} {w.name} is {w.state}" for w in tables.workers.rows.values()]
        under_way = self._world.executions.under_way
        handlers = [f"{name} executes {len(those)}" for name, those in under_way.items() if those]
        return f"{PATIENCE:g} s after the faults stopped: " + "; ".join(
            [*left, *workers, *handlers, f"{self._world.waiting} clients wait"]
        )


def _outcome(living: asyncio.Task[Violation | None]) -> Violation | None:
    """What came of it. An error that nobody foresaw is what a client would have met."""
    if (error := living.exception()) is not None:
        return Violation("error", f"a request failed: {error!r}")
    return living.result()
