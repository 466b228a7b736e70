"""The whole application on memory adapters, under a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from cueline.application.advancing import RunAdvancer
from cueline.application.application import Application
from cueline.application.bookmarks import Bookmarks
from cueline.application.catalogue import Catalogue
from cueline.application.changes import Announcer
from cueline.application.claiming import ClaimTasks
from cueline.application.context import Context, Integrations, Snooze
from cueline.application.dispatch import DispatchTasks, Outlet, Window
from cueline.application.due import DueTasks
from cueline.application.intake import Intake
from cueline.application.link import BrokerLink
from cueline.application.maintain import Maintain
from cueline.application.outcomes import Failed, Outcome, Snoozed, Succeeded
from cueline.application.ports.runtime import Executor, InputChecker
from cueline.application.queries import Queries
from cueline.application.queues import SteerQueues
from cueline.application.recent_runs import RecentRuns
from cueline.application.settle import Settled, SettleTasks
from cueline.application.tasks import SteerTasks, Submission, SubmitTasks
from cueline.application.workers import KeepWorkers, RecordLogs
from cueline.application.workflows import RegisterWorkflows, Start, StartRuns, SteerRuns
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import Problem, Unavailable
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.json import Json, JsonObject
from cueline.domain.retry import NO_RETRY, RetryPolicy
from cueline.domain.task import DEFAULT_QUEUE, Task
from cueline.domain.worker import LEASE, Worker
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics
from tests.brittle import EVERYTHING, BrittleBroker, BrittleStore
from tests.doubles import FakeClock, RisingIds

Handler = Callable[[Task], Json]
"""What a test gives as a handler: it answers the output, or raises."""


def a_definition(
    name: str, *required: str, retry: RetryPolicy = NO_RETRY, queue: str = DEFAULT_QUEUE
) -> TaskDefinition:
    """A kind of task whose input must have the fields named."""
    return TaskDefinition(name, {"required": list(required)}, queue=queue, retry=retry)


DEFINITIONS = (
    a_definition("send", retry=RetryPolicy(attempts=3, first=timedelta(seconds=10))),
    a_definition("print", queue="printer"),
    a_definition("strict", "order"),
    *(a_definition(name) for name in ("reserve", "charge", "pack", "ship")),
    *(a_definition(name) for name in ("unreserve", "refund", "unpack")),
)
"""The tasks that the harness knows. Only `send` is retried; `strict` wants an `order`."""


class RequiredFields(InputChecker):
    """Checks no more of a schema than which fields are required."""

    def check(self, definition: TaskDefinition, input: JsonObject) -> Sequence[Problem]:
        required = cast(Sequence[str], definition.input_schema.get("required", ()))
        return [Problem(f"input.{name}", "is missing") for name in required if name not in input]


class ScriptedExecutor(Executor):
    """Runs what the test has put under a task's name; other tasks answer their own input.

    `executed` are the tasks that were run, in order.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self.handlers: dict[str, Handler] = {}
        self.executed: list[Task] = []

    @property
    def names(self) -> frozenset[str]:
        return self._names

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def execute(self, task: Task, context: Context) -> Json:
        self.executed.append(task)
        handler = self.handlers.get(task.spec.name)
        return dict(task.spec.input) if handler is None else handler(task)


class Harness:
    """An application, its adapters within reach, and what tests do with it in one line.

    One `beside` another is a second process on the same store and broker.
    """

    clock: FakeClock
    ids: RisingIds
    store: BrittleStore
    broker: BrittleBroker
    bus: MemoryEventBus

    def __init__(
        self,
        definitions: Sequence[TaskDefinition] = DEFINITIONS,
        *,
        beside: Harness | None = None,
        chance: float = 0.0,
    ) -> None:
        self.clock = beside.clock if beside else FakeClock()
        self.ids = beside.ids if beside else RisingIds()
        self.store = beside.store if beside else BrittleStore()
        self.broker = beside.broker if beside else BrittleBroker(self.clock)
        self.bus = beside.bus if beside else MemoryEventBus()
        self.metrics = PrometheusMetrics()
        self.link = BrokerLink(self.broker, self.metrics)
        self.executor = ScriptedExecutor([definition.name for definition in definitions])
        self.app = self._application(definitions, chance)
        self._hired: Worker | None = None

    def _application(self, definitions: Sequence[TaskDefinition], chance: float) -> Application:
        store, link, clock, ids = self.store, self.link, self.clock, self.ids
        metrics = self.metrics
        checker = RequiredFields()
        catalogue = Catalogue(store, clock, definitions)
        bookmarks = Bookmarks()
        due = DueTasks(store, clock, bookmarks)
        window = Window(store, link, clock)
        outlet = Outlet(store, link, window, clock)
        intake = Intake(link, due, outlet, clock)
        announcer = Announcer(outlet, self.bus, clock)
        advancer = RunAdvancer(catalogue, checker, announcer)
        recent = RecentRuns()
        settle = SettleTasks(store, advancer, announcer, clock, lambda: chance, recent)
        register = RegisterWorkflows(store, catalogue)
        return Application(
            submit=SubmitTasks(store, catalogue, checker, announcer, clock, ids),
            tasks=SteerTasks(store, settle, announcer, clock),
            queues=SteerQueues(store, outlet),
            register=register,
            start=StartRuns(store, register, advancer, announcer, clock, ids),
            runs=SteerRuns(store, advancer, announcer, clock),
            queries=Queries(store, link, self.bus, clock, metrics),
            workers=KeepWorkers(store, outlet, clock, ids, LEASE),
            claim=ClaimTasks(store, intake, bookmarks, announcer, clock, metrics, recent=recent),
            settle=settle,
            record=RecordLogs(store, announcer),
            dispatch=DispatchTasks(link, due, window, outlet, clock),
            maintain=Maintain(store, settle, clock),
            backlog=outlet.backlog,
            catalogue=catalogue,
            executor=self.executor,
            integrations=NO_INTEGRATIONS,
            clock=clock,
        )

    # --- asking for work --------------------------------------------------------------------------

    async def submit(
        self, name: str = "send", input: JsonObject | None = None, **options: Any
    ) -> Task:
        """Submit one task; `options` are the fields of a `Submission`."""
        [submitted] = await self.app.submit([Submission(name, input or {}, **options)])
        return submitted.task

    async def start(self, workflow: Workflow, input: Json = None, *, key: str | None = None) -> Run:
        """Start one run."""
        [started] = await self.app.start([Start(workflow, input, key)])
        return started.run

    # --- doing it ---------------------------------------------------------------------------------

    def on(self, name: str, handler: Handler) -> None:
        """Have the tasks of this name handled so from now on."""
        self.executor.handlers[name] = handler

    async def hire(
        self, *queues: str, slots: int = 4, name: str = "host-1", spare: bool = False
    ) -> Worker:
        """Register a worker; unless it is spare, it is the one that works from now on."""
        worker = await self.app.workers.register(name, queues or (DEFAULT_QUEUE,), slots)
        if not spare:
            self._hired = worker
        return worker

    async def worker(self) -> Worker:
        """The worker that works, its lease fresh."""
        if self._hired is None:
            return await self.hire()
        self._hired = (await self.app.workers.heartbeat(self._hired, {})).worker
        return self._hired

    async def claim(self, worker: Worker | None = None, limit: int = 100) -> list[Task]:
        """Dispatch, then claim what was dispatched."""
        worker = worker or await self.worker()
        await self.app.dispatch()
        return await self.app.claim(worker, self.executor.names, limit, 0)

    async def claim_one(self, worker: Worker | None = None) -> Task:
        """Dispatch, then claim the one task that is ready."""
        [task] = await self.claim(worker)
        return task

    async def claim_steps(self) -> dict[str, Task]:
        """Dispatch, then claim what was dispatched; the tasks of a run, by step."""
        claimed = await self.claim()
        return {task.spec.origin.step: task for task in claimed if task.spec.origin is not None}

    async def perform(self, task: Task) -> Outcome:
        """Run the handler of a claimed task; its outcome is not settled yet."""
        context = Context.of(task, NO_INTEGRATIONS, lambda report: None)
        try:
            return Succeeded(task, await self.executor.execute(task, context))
        except Snooze as snooze:
            return Snoozed(task, snooze.delay)
        except Exception as error:  # noqa: BLE001  # as a worker does
            return Failed(task, Failure.of(error))

    async def settle(self, *outcomes: Outcome) -> Settled:
        """Settle outcomes together."""
        return await self.app.settle(outcomes)

    async def work(self, worker: Worker | None = None, *, at_most: int = 1000) -> list[Task]:
        """Dispatch, claim, run and settle until nothing is ready; the tasks in order of settling.

        Each task is claimed and settled by itself, so that the order is that of starting.
        """
        settled: list[Task] = []
        worker = worker or await self.worker()
        while len(settled) < at_most:
            await self.app.dispatch()
            hints = await self.app.claim.receive(worker, 1, 0)
            if hints.lead_nowhere:
                break
            claimed = await self.app.claim.take(worker, self.executor.names, hints)
            await self.app.claim.acknowledge(hints)
            for task in claimed:
                settled.extend((await self.settle(await self.perform(task))).accepted)
        return settled

    async def work_for(self, seconds: float, *, step: float = 1.0) -> list[Task]:
        """Work while time passes."""
        settled = await self.work()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            settled += await self.work()
        return settled

    # --- looking ----------------------------------------------------------------------------------

    async def task(self, id: TaskId) -> Task:
        """A task as it is stored."""
        return (await self.app.queries.task(id)).task

    async def run(self, id: RunId) -> Run:
        """A run as it is stored."""
        return (await self.app.queries.run(id)).run

    async def step_states(self, id: RunId) -> Mapping[str, str]:
        """The states of the steps of a run, by step."""
        return {name: step.state.value for name, step in (await self.run(id)).steps.items()}

    async def history(self, id: RunId) -> list[str]:
        """What happened in a run, in words like `step.started charge`."""
        return [
            f"{event.type} {event.data['step']}" if "step" in event.data else event.type
            for event in await self.app.queries.history(id, 0, 1000)
        ]

    async def broker_goes_away(self) -> None:
        """From now on the broker refuses everything, and this process knows it."""
        self.broker.refusing = EVERYTHING
        with suppress(Unavailable):
            await self.link.depth(DEFAULT_QUEUE)

    async def broker_comes_back(self) -> None:
        """The broker answers again, and this process knows it."""
        self.broker.refusing = self.broker.silent = frozenset()
        while not self.link.answers():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.001)

    def measured(self, figure: str) -> float:
        """A figure of this process, by the name under which it is exposed, labels included."""
        for line in self.metrics.expose().body.decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == figure:
                return float(value)
        raise KeyError(figure)

    async def in_broker(self, queue: str = DEFAULT_QUEUE) -> int:
        """How many messages of a queue the broker holds."""
        return await self.broker.depth(queue)


def without_lineage(failure: Failure) -> Failure:
    """A failure as it comes back from a store."""
    return replace(failure, lineage=frozenset())


NO_INTEGRATIONS = cast(Integrations, None)
"""The handlers of these tests use no outside service."""


def is_watched(harness: Harness) -> bool:
    """Whether anybody follows an event."""
    return harness.bus.is_watched
