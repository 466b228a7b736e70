"""The tables of the memory store, their indexes, and one unit of work's access to them."""

from __future__ import annotations

from enum import Enum, auto
from itertools import count
from typing import Any

from cueline.application.ports.journal import LogEntry
from cueline.domain.attempt import Attempt
from cueline.domain.definition import TaskDefinition
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.queue import Queue
from cueline.domain.task import Task, TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run
from cueline.infrastructure.memory.table import Index, Table, View

TASKS_BY_KEY: Index[Task] = Index(lambda task: task.spec.key, lambda task: task.id)
TASKS_BY_RUN: Index[Task] = Index(
    lambda task: task.spec.origin.run_id if task.spec.origin else None, lambda task: task.id
)
TASKS_BY_STANDING: Index[Task] = Index(
    lambda task: (task.spec.queue, task.state), lambda task: task.id
)
TASKS_BY_WORKER: Index[Task] = Index(
    lambda task: task.worker_id if task.state is TaskState.RUNNING else None, lambda task: task.id
)
TASKS_TO_DISPATCH: Index[Task] = Index(
    lambda task: (
        (task.spec.queue, task.spec.priority)
        if task.state is TaskState.QUEUED and task.dispatch_at is not None
        else None
    ),
    lambda task: task.dispatch_at,
)
RUNS_BY_KEY: Index[Run] = Index(lambda run: run.key, lambda run: run.id)
RUNS_BY_STANDING: Index[Run] = Index(lambda run: (run.workflow.name, run.state), lambda run: run.id)
HISTORY_BY_RUN: Index[Event] = Index(lambda event: event.id, lambda event: event.sequence)
WORKFLOWS_BY_NAME: Index[Workflow] = Index(
    lambda workflow: workflow.name, lambda workflow: workflow.version
)
ATTEMPTS_BY_TASK: Index[Attempt] = Index(
    lambda attempt: attempt.task_id, lambda attempt: attempt.number
)
LOGS_BY_TASK: Index[tuple[int, LogEntry]] = Index(lambda row: row[1].task_id, lambda row: row[0])
PROGRESS_BY_TASK: Index[tuple[int, LogEntry]] = Index(
    lambda row: row[1].task_id if row[1].level == "progress" else None, lambda row: row[0]
)


class Tables:
    """The committed state."""

    def __init__(self) -> None:
        self.tasks: Table[TaskId, Task] = Table(
            (TASKS_BY_KEY, TASKS_BY_RUN, TASKS_BY_STANDING, TASKS_BY_WORKER, TASKS_TO_DISPATCH)
        )
        self.runs: Table[RunId, Run] = Table((RUNS_BY_KEY, RUNS_BY_STANDING))
        self.history: Table[tuple[str, int], Event] = Table((HISTORY_BY_RUN,))
        self.workflows: Table[tuple[str, int], Workflow] = Table((WORKFLOWS_BY_NAME,))
        self.definitions: Table[str, TaskDefinition] = Table()
        self.queues: Table[str, Queue] = Table()
        self.workers: Table[WorkerId, Worker] = Table()
        self.attempts: Table[tuple[TaskId, int], Attempt] = Table((ATTEMPTS_BY_TASK,))
        self.logs: Table[int, tuple[int, LogEntry]] = Table((LOGS_BY_TASK, PROGRESS_BY_TASK))
        self.serials = count(1)
        """Numbers for rows that have no name of their own. One that is rolled back leaves a gap."""

    @property
    def all(self) -> tuple[Table[Any, Any], ...]:
        """Every table, in the order of `Views.all`."""
        return (
            self.tasks,
            self.runs,
            self.history,
            self.workflows,
            self.definitions,
            self.queues,
            self.workers,
            self.attempts,
            self.logs,
        )


class Views:
    """The tables as one unit of work sees them."""

    def __init__(self, tables: Tables) -> None:
        self.tasks = View(tables.tasks)
        self.runs = View(tables.runs)
        self.history = View(tables.history)
        self.workflows = View(tables.workflows)
        self.definitions = View(tables.definitions)
        self.queues = View(tables.queues)
        self.workers = View(tables.workers)
        self.attempts = View(tables.attempts)
        self.logs = View(tables.logs)
        self.serials = tables.serials

    @property
    def all(self) -> tuple[View[Any, Any], ...]:
        """Every view, in the order of `Tables.all`."""
        return (
            self.tasks,
            self.runs,
            self.history,
            self.workflows,
            self.definitions,
            self.queues,
            self.workers,
            self.attempts,
            self.logs,
        )


class Phase(Enum):
    """Where a unit of work stands."""

    NEW = auto()
    OPEN = auto()
    COMMITTED = auto()
    LEFT = auto()


class Access:
    """One unit of work's access to the tables; it refuses what the unit may not do at the moment.

    Misuse raises `RuntimeError`: it is a mistake in the program, which no caller should handle.
    """

    def __init__(self, *, writable: bool) -> None:
        self._writable = writable
        self._views: Views | None = None
        self._phase = Phase.NEW

    @property
    def phase(self) -> Phase:
        """Where the unit of work stands."""
        return self._phase

    def begin(self, views: Views) -> None:
        """The unit of work is entered."""
        if self._phase is not Phase.NEW:
            raise RuntimeError("a unit of work is for one use: ask the store for a new one")
        self._views = views
        self._phase = Phase.OPEN

    def end(self, phase: Phase) -> None:
        """The unit of work is committed or left."""
        self._views = None
        self._phase = phase

    def look(self) -> Views:
        """The views, to read."""
        if self._views is None:
            raise RuntimeError(_WHY_CLOSED[self._phase])
        return self._views

    def change(self) -> Views:
        """The views, to change."""
        if not self._writable:
            raise RuntimeError("this unit of work only looks: use store.write() to change things")
        return self.look()


_WHY_CLOSED = {
    Phase.NEW: "the unit of work is not entered yet: use it in `async with`",
    Phase.COMMITTED: "the unit of work is committed: nothing more can be done in it",
    Phase.LEFT: "the unit of work was left: nothing more can be done in it",
}
