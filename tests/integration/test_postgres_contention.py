"""Many work on the same few tasks and runs: nobody waits in a circle, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from itertools import islice
from random import Random

import asyncpg
import pytest

from cueline import App
from cueline.application.advancing import Taker
from cueline.application.application import Application
from cueline.application.hints import Hints
from cueline.application.outcomes import Failed, Outcome, Released, Snoozed, Succeeded
from cueline.application.ports.questions import Page, TaskFilter
from cueline.application.tasks import Submission
from cueline.application.workflows import Start
from cueline.domain.errors import Conflict, Outdated
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId, TaskId, WorkerId, step_task_id
from cueline.domain.task import DEFAULT_QUEUE, Task
from cueline.infrastructure.sql.postgres.optimistic import OptimisticTransaction
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.loading import load_settings
from cueline.runtime import open_application
from cueline.workflow_builder import StepHandle
from tests.doubles import NOW
from tests.factories import a_task

TASKS, RUNS, ROUNDS = 50, 10, 60
STEPS = ("a", "b", "c", "d")
LINKS = tuple(f"link_{number}" for number in range(30))
"""The steps of a chain, which are settled in one statement unless somebody was quicker."""


@pytest.fixture
def shop() -> App:
    """Tasks that are never run, and a workflow with steps side by side, which can be undone."""
    app = App("shop")

    @app.task
    async def work(number: int) -> int:
        return number

    flow = app.workflow("flow", version=1)
    for number, name in enumerate(STEPS):
        flow.step(name, work, number=number, compensate=lambda _: work.call(number=0))
    chain = app.workflow("chain", version=1)
    latest: list[StepHandle] = []
    for name in LINKS:
        latest = [chain.step(name, work, number=1, after=latest)]
    return app


@pytest.fixture
async def processes(shop: App, postgres_store_url: str) -> AsyncIterator[list[Application]]:
    """Two applications, as two processes have them."""
    settings = load_settings(store=postgres_store_url, namespace="contention")
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_application(settings, shop)) for _ in range(2)]


class Crowd:
    """What all of them work on, and how often each task was moved."""

    def __init__(
        self, tasks: Sequence[TaskId], runs: Sequence[RunId], chains: Sequence[RunId]
    ) -> None:
        self.tasks = tasks
        self.runs = runs
        self.chains = chains
        self.chance = Random(7)
        self.moves: Counter[TaskId] = Counter()

    def note(self, moved: Sequence[Task]) -> None:
        self.moves.update(task.id for task in moved)

    def some(self) -> list[TaskId]:
        return self.chance.sample(self.tasks, self.chance.randint(1, 20))

    async def work(self, app: Application) -> None:
        """Claim what can be claimed of some, and end it in whatever way."""
        worker = await app.workers.register("worker", [DEFAULT_QUEUE], 50)
        for _ in range(ROUNDS):
            hints = Hints(50, frozenset(self.some()), from_store=self.chance.choice([0, 0, 5]))
            claimed = await app.claim.take(worker, ["work"], hints)
            self.note(claimed)
            settled = await app.settle([self._outcome(task) for task in claimed])
            self.note(settled.accepted)

    async def follow(self, app: Application) -> None:
        """Do the steps of some chains, and take along what follows."""
        worker = await app.workers.register("worker", [DEFAULT_QUEUE], 50)
        taker = Taker(worker, ["work"], 50)
        taken: Sequence[Task] = ()
        for _ in range(ROUNDS):
            some = self.chance.sample(self.chains, 5)
            links = [step_task_id(run, link, Purpose.WORK) for run in some for link in LINKS]
            claimed = await app.claim.take(worker, ["work"], Hints(50, frozenset(links)))
            held = {task.id: task for task in (*taken, *claimed)}
            outcomes = [Succeeded(task, 1) for task in held.values()]
            taken = (await app.settle(outcomes, taker=taker)).claimed

    async def steer(self, app: Application) -> None:
        """Cancel, retry, promote."""
        ways: list[Callable[[Sequence[TaskId]], Awaitable[list[Task]]]] = [
            app.tasks.cancel,
            app.tasks.retry,
            app.tasks.promote,
        ]
        for _ in range(ROUNDS):
            for id in islice(self.some(), 5):
                with suppress(Conflict):  # most do not suit the state
                    self.note(await self.chance.choice(ways)([id]))

    async def steer_runs(self, app: Application) -> None:
        """Cancel, pause, resume, retry runs."""
        ways = [app.runs.cancel, app.runs.pause, app.runs.resume, app.runs.retry]
        for _ in range(ROUNDS):
            with suppress(Conflict):
                await self.chance.choice(ways)(self.chance.choice((*self.runs, *self.chains)))

    async def dispatch(self, app: Application) -> None:
        """Hand out, over and over."""
        for _ in range(ROUNDS):
            await app.dispatch()

    def _outcome(self, task: Task) -> Outcome:
        match self.chance.randrange(4):
            case 0:
                return Succeeded(task, 1)
            case 1:
                return Failed(task, Failure("ValueError", "no", permanent=True))
            case 2:
                return Snoozed(task, timedelta(0))
            case _:
                return Released(task)


def counted_commits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many optimistic commits were kept, and how many were outdated."""
    counts: Counter[str] = Counter()
    genuine = OptimisticTransaction.commit

    async def commit(self: OptimisticTransaction) -> None:
        try:
            await genuine(self)
        except Outdated:
            counts["outdated"] += 1
            raise
        counts["kept"] += 1

    monkeypatch.setattr(OptimisticTransaction, "commit", commit)
    return counts


@pytest.mark.slow
async def test_many_on_the_same_tasks_and_runs_never_wait_in_a_circle(
    shop: App, processes: list[Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = processes
    commits = counted_commits(monkeypatch)
    alone = [done.task.id for done in await one.submit([Submission("work", {"number": 1})] * TASKS)]
    flow, chain = shop.workflows
    runs = await one.start([Start(flow, {}) for _ in range(RUNS)])
    tasks = [each.task.id for each in await one.queries.tasks(TaskFilter(), Page(limit=1000))]
    chains = await one.start([Start(chain, {}) for _ in range(RUNS)])
    crowd = Crowd(
        tasks, [started.run.id for started in runs], [started.run.id for started in chains]
    )
    # A deadlock, or whatever else the database refuses, is an error that ends the test.
    async with asyncio.TaskGroup() as group:
        for app in processes:
            parts = (crowd.work, crowd.work, crowd.follow, crowd.steer, crowd.steer_runs)
            for part in (*parts, crowd.dispatch):
                group.create_task(part(app))
    assert commits["kept"] > ROUNDS / 3
    assert commits["outdated"] > 0
    for id in alone:
        assert (await other.queries.task(id)).task.version == 1 + crowd.moves[id]


async def test_one_connection_for_each_purpose_suffices(postgres_store_url: str) -> None:
    # A unit of work that is opened within another of the same kind would wait for itself.
    settings = load_settings(store=postgres_store_url, namespace="contention", store_connections=1)
    app = App("shop", settings=settings)

    @app.task
    async def double(number: int) -> int:
        return 2 * number

    flow = app.workflow("flow", version=1)
    first = flow.step("first", double, number=flow.input.number)
    flow.step("second", double, number=first.output)
    async with app.working():
        tasks = await asyncio.gather(*(double.submit(number) for number in range(50)))
        runs = await asyncio.gather(*(flow.start({"number": number}) for number in range(5)))
        assert [await task.result("30s") for task in tasks] == [2 * n for n in range(50)]
        for run in runs:
            await run.result("30s")


async def test_batches_of_any_size_lock_the_tasks_of_a_small_table_in_one_order(
    postgres_store_url: str,
) -> None:
    # A small table is quickest read whole; then rows would be locked as they lie, not as they come.
    store, chance = PostgresStore(postgres_store_url), Random(7)
    tasks = [a_task() for _ in range(300)]
    await store.open()
    for task in reversed(tasks):
        async with store.write(durable=False) as uow:
            await uow.tasks.add_many([task])
            await uow.commit()
    connection = await asyncpg.connect(postgres_store_url)
    await connection.execute("ANALYZE tasks")
    await connection.close()

    async def move_some() -> None:
        for _ in range(25):
            async with store.write(durable=False) as uow:
                size = chance.choice([3, 20, 100, len(tasks)])
                some = await uow.tasks.get_many([task.id for task in chance.sample(tasks, size)])
                await uow.tasks.save_many([_moved(task) for task in some])
                await uow.commit()

    async with asyncio.TaskGroup() as group:  # a deadlock would be an error
        for _ in range(8):
            group.create_task(move_some())
    await store.close()


def _moved(task: Task) -> Task:
    return task.release() if task.worker_id else task.claim(WorkerId("worker"), NOW)
