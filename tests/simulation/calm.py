"""Calm: when the faults are long over, all must go smoothly, and not merely end some time.

The faults excuse much: what is slow, given back, charged or evicted may be so because of them. A
mistake that costs no more than time hides behind them. So some worlds end with half a minute in
which nothing goes wrong; one process is stopped in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from cueline.application.tasks import Submission
from cueline.application.workflows import Start
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.identifiers import Purpose, RunId, TaskId, step_task_id
from cueline.domain.json import Json
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import TaskState
from cueline.domain.worker import LEASE, Worker
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import RunState
from tests.doubles import NOW
from tests.simulation.world import World

OVER = 33.0
"""How long after the faults their traces are gone: leases, and a broker that had relapsed."""

QUICK = 4.0
"""How long a chain of quick tasks may take at most; a lost hint would cost five seconds."""

TOLD = 5.0
"""How long it takes until a worker hears that a task was cancelled: a beat, and its way."""

STOPPED = 25.0
"""How long tasks of a few seconds may take of which some are begun again by another process."""

LULL = 5.0
"""How long the processes are watched while there is nothing to do."""

MOST_ASKED = 40
"""How often a process may ask the store in a second of it, on average."""

TWICE = RetryPolicy(2, Backoff.FIXED, timedelta(seconds=0.1))


class Calm:
    """What is asked of a world in which nothing is wrong, and what then was not as it must be."""

    def __init__(self, world: World, healed_at: float) -> None:
        self._world = world
        self._healed_at = healed_at
        self._number = 0

    async def spend(self) -> list[str]:
        """Work in peace for a while; answers what went wrong all the same."""
        world = self._world
        await world.sleep(max(0.0, self._healed_at + OVER - world.loop.time()))
        return [
            *await self._quick_work(),
            *await self._undo(),
            *await self._deploy(),
            *await self._cancel(),
            *await self._rest(),
            *self._evictions(),
        ]

    async def _quick_work(self) -> Sequence[str]:
        """Tasks and runs through every process: each hint arrives, nothing waits for a sweep."""
        tasks = [await self._submit(via, task) for via in self._hosts for task in ("work", "bulk")]
        tasks.append(await self._submit("a", "work", fails=1))
        good = await self._start("good")
        bad = await self._start("bad", permanent=True)
        await self._until_all_ended(QUICK)
        return [
            *self._not_as_wanted(tasks, "quick work in calm"),
            *self._not_run_to(good, RunState.SUCCEEDED),
            *self._not_run_to(bad, RunState.COMPENSATED),
        ]

    async def _undo(self) -> Sequence[str]:
        """Runs whose last step waits, and is then not wanted: they are undone at once."""
        ask, sleep = self._world.ask, self._world.sleep
        await ask("a", lambda app: app.queues.pause("bulk"))
        runs = [await self._start(name) for name in ("cancelled", "step cancelled")]
        await sleep(QUICK / 2)
        await ask("a", lambda app: app.runs.cancel(runs[0]))
        last = step_task_id(runs[1], "last", Purpose.WORK)
        await ask("a", lambda app: app.tasks.cancel([last]))
        await self._until_all_ended(QUICK)
        waiting = [await self._submit(via, "bulk") for via in self._hosts]
        await ask("a", lambda app: app.queues.resume("bulk"))
        lies = [
            *self._not_run_to(runs[0], RunState.CANCELLED),
            *self._not_run_to(runs[1], RunState.COMPENSATED),
        ]
        await self._until_all_ended(QUICK)
        return [*lies, *self._not_as_wanted(waiting, "what waited for a queue")]

    async def _deploy(self) -> Sequence[str]:
        """A process is stopped in order: what it cannot finish is given back, and not charged."""
        world = self._world
        tasks = [
            await self._submit("a", task, seconds=seconds)
            for task in ("work", "bulk")
            for seconds in (1.0, 6.0)
        ]
        stubborn = await self._submit("a", "work", seconds=6.0, stubborn=12.0)
        await world.sleep(0.5)
        world.processes["a"].stop()
        await world.restart("a")
        await self._until_all_ended(STOPPED)
        if not world.database.tables.tasks.rows[stubborn].state.ended:
            return [f"{stubborn} was held by a stopped process, and nobody has taken it over"]
        return list(self._not_as_wanted(tasks, "what a stopped process held"))

    async def _cancel(self) -> Sequence[str]:
        """A handler is told that nobody wants its result any more."""
        world = self._world
        task = await self._submit("a", "work", endless=True)
        await world.sleep(2.0)
        await world.ask("a", lambda app: app.tasks.cancel([task]))
        await world.ask("a", lambda app: app.tasks.retry([task]))  # perhaps by the same worker
        await world.sleep(2.0)
        await world.ask("a", lambda app: app.tasks.cancel([task]))
        await world.sleep(TOLD)
        if any(world.executions.under_way.get(host.name) for host in world.processes.values()):
            return ["a handler goes on whose task was cancelled in calm"]
        return []

    async def _rest(self) -> Sequence[str]:
        """With nothing to do, processes look around now and then, and not all the time."""
        lines = {name: process.to_store for name, process in self._world.processes.items()}
        before = {name: line.journeys for name, line in lines.items()}
        await self._world.sleep(LULL)
        return [
            f"process {name} asked the store {asked} times in {LULL:g} s with nothing to do"
            for name, line in lines.items()
            if (asked := line.journeys - before[name]) > MOST_ASKED * LULL
        ]

    def _evictions(self) -> Iterator[str]:
        """A worker that is well stays trusted. One left behind by a clock that was ahead is not."""
        lapsed = self._healed_at + LEASE.total_seconds() + QUICK
        workers = self._world.database.tables.workers.rows.values()
        for at, worker in self._world.chronicle.evicted:
            time = NOW + timedelta(seconds=at)
            namesakes = [w.id for w in workers if w.name == worker.name and w.started_at < time]
            if at > lapsed and worker.id == max(namesakes, default=None) and self._is_well(worker):
                yield f"worker {worker.name} was evicted in calm"

    def _is_well(self, worker: Worker) -> bool:
        processes = self._world.processes.values()
        return any(each.name == worker.name and not each.has_ended for each in processes)

    # --- asking -----------------------------------------------------------------------------------

    @property
    def _hosts(self) -> list[str]:
        return list(self._world.processes)

    def _input(self, **does: Json) -> dict[str, Json]:
        self._number += 1
        return {"label": f"calm{self._number}", "seconds": 0.05, **does}

    async def _submit(self, via: str, name: str, **does: Json) -> TaskId:
        submission = Submission(name, self._input(**does), retry=TWICE)
        label = str(submission.input["label"])
        self._world.ledger.asking(label, submission)
        answer = await self._world.ask(via, lambda app: app.submit.one(submission))
        assert answer is not None
        self._world.ledger.answered(label, submission, answer)
        return answer.task.id

    async def _start(self, name: str, *, permanent: bool = False) -> RunId:
        first = Step("first", "work", self._input(), compensate=Compensation("work", self._input()))
        last = Step("last", "bulk", self._input(permanent=permanent), after=("first",))
        request = Start(Workflow("calm", 1, (first, last)), {}, key=f"calm {name}")
        started = await self._world.ask("a", lambda app: app.start([request]))
        assert started is not None
        return started[0].run.id

    async def _until_all_ended(self, seconds: float) -> None:
        end = self._world.loop.time() + seconds
        while self._world.open and self._world.loop.time() < end:
            await self._world.sleep(0.1)

    # --- judging ----------------------------------------------------------------------------------

    def _not_as_wanted(self, ids: Sequence[TaskId], what: str) -> Iterator[str]:
        tables = self._world.database.tables
        for id in ids:
            task = tables.tasks.rows[id]
            wanted = task.spec.input.get("fails", 0)
            if task.state is not TaskState.SUCCEEDED or task.failures != wanted:
                yield f"{what}: {id} is {task.state} with {task.failures} failures"
        for attempt in tables.attempts.rows.values():
            stopped = tables.workers.rows[attempt.worker_id].name.startswith("a.")
            released = attempt.outcome is AttemptOutcome.RELEASED
            if attempt.task_id in ids and released and not stopped:
                yield f"{what}: {attempt.task_id} was given back by {attempt.worker_id}"

    def _not_run_to(self, id: RunId, wanted: RunState) -> Iterator[str]:
        run = self._world.database.tables.runs.rows[id]
        if run.state is not wanted:
            yield f"a run in calm is {run.state}, not {wanted}"
