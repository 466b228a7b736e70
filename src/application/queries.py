"""Looking: what interfaces show. Queries read committed state and never wait for a writer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from cueline.application.explain import Circumstances, explain
from cueline.application.link import BrokerLink
from cueline.application.ports.events import EventBus
from cueline.application.ports.journal import LogEntry
from cueline.application.ports.metrics import Exposition, Metrics
from cueline.application.ports.persistence import Store
from cueline.application.ports.questions import Page, RunFilter, TaskFilter
from cueline.application.ports.runtime import Clock
from cueline.domain.attempt import Attempt
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import NotFound, Unavailable
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.queue import Queue
from cueline.domain.task import DEFAULT_QUEUE, Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run

log = logging.getLogger(__name__)

OK = "ok"
STORE_AWAY = "the store does not answer"
BROKER_AWAY = "the broker does not answer; workers take tasks from the store"


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """A task with the latest progress that its handler reported."""

    task: Task
    progress: LogEntry | None
    scheduled: bool


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with the latest progress of its steps, by step name."""

    run: Run
    progress: dict[str, LogEntry]
    tasks: dict[str, Task]


@dataclass(frozen=True, slots=True)
class QueueDetail:
    """A queue: its settings, how many tasks it has in each state, who serves it.

    `in_broker` is the number of messages with the broker, None while the broker does not answer.
    """

    queue: Queue
    counts: dict[str, int]
    workers: int
    slots: int
    in_broker: int | None


class Queries:
    """Everything that can be asked."""

    def __init__(
        self, store: Store, broker: BrokerLink, bus: EventBus, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._broker = broker
        self._bus = bus
        self._clock = clock
        self._metrics = metrics

    # --- tasks ------------------------------------------------------------------------------------

    async def task(self, id: TaskId) -> TaskDetail:
        """A task, or `NotFound`."""
        async with self._store.read() as uow:
            found = await uow.tasks.get_many([id])
            if not found:
                raise NotFound("task", id)
            progress = await uow.journal.progress([id])
        return TaskDetail(found[0], progress.get(id), found[0].is_scheduled(self._clock.now()))

    async def tasks(self, wanted: TaskFilter, page: Page) -> list[TaskDetail]:
        """Tasks that fit, newest first, without their progress."""
        now = self._clock.now()
        async with self._store.read() as uow:
            found = await uow.tasks.search(wanted, page, now)
        return [TaskDetail(task, None, task.is_scheduled(now)) for task in found]

    async def attempts(self, id: TaskId) -> list[Attempt]:
        """Every attempt at a task, in order, the present one last."""
        async with self._store.read() as uow:
            found = await uow.tasks.get_many([id])
            if not found:
                raise NotFound("task", id)
            recorded = await uow.journal.attempts(id)
        current = Attempt.current(found[0])
        return [*recorded, current] if current is not None else recorded

    async def logs(self, id: TaskId, after: int, limit: int) -> list[tuple[int, LogEntry]]:
        """The log lines of a task beyond the position `after`, in order."""
        async with self._store.read() as uow:
            if not await uow.tasks.versions([id]):
                raise NotFound("task", id)
            return await uow.journal.logs(id, after, limit)

    async def explain(self, id: TaskId) -> list[str]:
        """Why a task is where it is, in sentences: the most telling first."""
        now = self._clock.now()
        async with self._store.read() as uow:
            found = await uow.tasks.get_many([id])
            if not found:
                raise NotFound("task", id)
            task = found[0]
            queues = {queue.name: queue for queue in await uow.queues.list_all()}
            workers = await uow.workers.live()
            counts = await uow.tasks.count_by_queue(now)
        name = task.spec.queue
        serving = [w for w in workers if name in w.queues and not w.has_lapsed(now)]
        circumstances = Circumstances(
            queue=queues.get(name) or Queue(name),
            workers=len(serving),
            slots=sum(worker.slots for worker in serving),
            running=counts.get(name, {}).get("running", 0),
        )
        return explain(task, circumstances, now)

    # --- queues and workers -----------------------------------------------------------------------

    async def queues(self) -> list[QueueDetail]:
        """Every queue that has tasks, settings or workers, by name."""
        now = self._clock.now()
        async with self._store.read() as uow:
            settings = {queue.name: queue for queue in await uow.queues.list_all()}
            counts = await uow.tasks.count_by_queue(now)
            live = [worker for worker in await uow.workers.live() if not worker.has_lapsed(now)]
        workers: Counter[str] = Counter()
        slots: Counter[str] = Counter()
        for worker in live:
            workers.update(worker.queues)
            slots.update(dict.fromkeys(worker.queues, worker.slots))
        names = sorted({*settings, *counts, *workers})
        return [
            QueueDetail(
                settings.get(name) or Queue(name),
                counts.get(name, {}),
                workers[name],
                slots[name],
                await self._depth(name),
            )
            for name in names
        ]

    async def queue(self, name: str) -> QueueDetail:
        """A queue, or `NotFound` if nothing is known under that name."""
        for detail in await self.queues():
            if detail.queue.name == name:
                return detail
        raise NotFound("queue", name)

    async def workers(self, limit: int = 100) -> list[Worker]:
        """The workers, live ones first."""
        async with self._store.read() as uow:
            return await uow.workers.search(limit)

    async def definitions(self) -> list[TaskDefinition]:
        """Every kind of task that an application has registered, by name."""
        async with self._store.read() as uow:
            return await uow.definitions.list_all()

    # --- workflows and runs -----------------------------------------------------------------------

    async def workflows(self) -> list[Workflow]:
        """Every version of every workflow."""
        async with self._store.read() as uow:
            return await uow.workflows.list_all()

    async def run(self, id: RunId) -> RunDetail:
        """A run with its steps, their tasks and their progress, or `NotFound`."""
        now = self._clock.now()
        async with self._store.read() as uow:
            found = await uow.runs.get_many([id])
            if not found:
                raise NotFound("run", id)
            run = found[0]
            limit = 2 * len(run.steps)
            tasks = await uow.tasks.search(TaskFilter(run_id=id), Page(limit), now)
            progress = await uow.journal.progress([task.id for task in tasks])
        by_step = {
            task.spec.origin.step: task
            for task in tasks
            if task.spec.origin is not None and task.spec.origin.purpose == "work"
        }
        shown = {step: progress[task.id] for step, task in by_step.items() if task.id in progress}
        return RunDetail(run, shown, by_step)

    async def runs(self, wanted: RunFilter, page: Page) -> list[Run]:
        """Runs that fit, newest first."""
        async with self._store.read() as uow:
            return await uow.runs.search(wanted, page)

    async def history(self, id: RunId, after: int, limit: int) -> list[Event]:
        """What happened in a run beyond the sequence `after`, in order."""
        async with self._store.read() as uow:
            if not await uow.runs.get_many([id]):
                raise NotFound("run", id)
            return await uow.runs.history(id, after, limit)

    # --- watching ---------------------------------------------------------------------------------

    def watch(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Live events about these tasks and runs, as far as they reach this process.

        A hint like every message: whoever must not miss anything also reads the store now and then.
        """
        return self._bus.subscribe(ids)

    # --- operating --------------------------------------------------------------------------------

    async def is_ready(self) -> dict[str, str]:
        """Whether the store and the broker answer, by name: `ok`, or what that means.

        Anyone may see it: the reasons, which may name hosts, are in the log.
        """
        health = {"store": OK, "broker": OK}
        try:
            async with self._store.read() as uow:
                await uow.queues.list_all()
        except Unavailable as error:
            log.warning("not ready: %s", error)
            health["store"] = STORE_AWAY
        try:
            await self._broker.depth(DEFAULT_QUEUE)
        except Unavailable:
            health["broker"] = BROKER_AWAY
        return health

    def metrics(self) -> Exposition:
        """The figures of this process, for monitoring."""
        return self._metrics.expose()

    async def _depth(self, queue: str) -> int | None:
        try:
            return await self._broker.depth(queue)
        except Unavailable:
            return None
