"""What a transaction changed, noted in that very transaction: what is noted was committed."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from cueline.application.ports.questions import Taken
from cueline.domain.attempt import Attempt
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.task import Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import Run
from cueline.infrastructure.sql.session import Session

CREATE = {
    "sqlite": "CREATE TABLE noted (id INTEGER PRIMARY KEY AUTOINCREMENT, changes BLOB NOT NULL)",
    "postgres": "CREATE TABLE noted (id BIGSERIAL PRIMARY KEY, changes BYTEA NOT NULL)",
}
SELECT = "SELECT changes FROM noted ORDER BY id"
_INSERT = text("INSERT INTO noted (changes) VALUES (:changes)")

IMPLIED = {"attempt failed", "run.started", "run.compensating", "step.failed", "step.succeeded"}
"""What never happens without something else in the same transaction that is a fact, too."""


@dataclass(slots=True)
class Changes:
    """The rows that a unit of work has written, as the domain knows them."""

    life: str
    at: float = 0.0
    tasks: dict[TaskId, Task] = field(default_factory=dict)
    runs: dict[RunId, Run] = field(default_factory=dict)
    workers: dict[WorkerId, Worker] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    history: list[Event] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    """What else was written."""

    @property
    def facts(self) -> Sequence[str]:
        """What happened, in a word for each kind of thing; nothing if nothing was changed."""
        found = {
            *(f"task {task.state}" for task in self.tasks.values() if not _is_new_step(task)),
            *(f"attempt {attempt.outcome}" for attempt in self.attempts),
            *(f"worker {worker.state}" for worker in self.workers.values()),
            *(event.type for event in self.history),
            *self.others,
        }
        return sorted(found - IMPLIED)

    async def note(self, session: Session) -> None:
        """Write them down in the transaction that made them."""
        if self.tasks or self.runs or self.workers or self.attempts or self.history:
            self.at = time.time()
            await session.execute(_INSERT, {"changes": pickle.dumps(self)})


def _is_new_step(task: Task) -> bool:
    """Whether the history of its run tells of it."""
    return task.version == 1 and task.spec.origin is not None


def _added_tasks(changes: Changes, added: set[TaskId], tasks: Sequence[Task]) -> None:
    changes.tasks.update((task.id, task) for task in tasks if task.id in added)


def _saved_tasks(changes: Changes, stale: set[TaskId], tasks: Sequence[Task]) -> None:
    changes.tasks.update((task.id, task) for task in tasks if task.id not in stale)


def _claimed_tasks(changes: Changes, claimed: Sequence[Task], *_: object) -> None:
    changes.tasks.update((task.id, task) for task in claimed)


def _taken_tasks(changes: Changes, taken: Taken, *_: object) -> None:
    _claimed_tasks(changes, taken.claimed)


def _added_runs(changes: Changes, added: set[RunId], runs: Sequence[Run]) -> None:
    changes.runs.update((run.id, run) for run in runs if run.id in added)


def _saved_runs(changes: Changes, _: None, runs: Sequence[Run]) -> None:
    changes.runs.update((run.id, run) for run in runs)


def _told(changes: Changes, _: None, events: Sequence[Event]) -> None:
    changes.history.extend(events)


def _ended_attempts(changes: Changes, _: None, attempts: Sequence[Attempt]) -> None:
    changes.attempts.extend(attempts)


def _added_worker(changes: Changes, _: None, worker: Worker) -> None:
    changes.workers[worker.id] = worker


def _saved_worker(changes: Changes, saved: bool, worker: Worker, _lease: object) -> None:
    if saved:
        changes.workers[worker.id] = worker


def _another(what: str) -> Callable[..., None]:
    def note(changes: Changes, _: object, written: object, *_more: object) -> None:
        if written:
            changes.others.add(what)

    return note


NOTED: Mapping[str, Callable[..., None]] = {
    "tasks.add_many": _added_tasks,
    "tasks.add_claimed": _added_tasks,
    "tasks.save_many": _saved_tasks,
    "tasks.claim_many": _claimed_tasks,
    "tasks.claim_due": _taken_tasks,
    "runs.add_many": _added_runs,
    "runs.save_many": _saved_runs,
    "runs.append_history": _told,
    "journal.add_attempts": _ended_attempts,
    "tasks.set_dispatched": _another("task handed out"),
    "definitions.put_many": _another("definition"),
    "workflows.add": _another("workflow"),
    "journal.add_logs": _another("log"),
    "workers.add": _added_worker,
    "workers.save": _saved_worker,
}
"""What is noted of an operation, given its answer and its arguments."""


class NotingRepository:
    """A repository whose writing is noted."""

    def __init__(self, name: str, inner: object, changes: Changes) -> None:
        self._name = name
        self._inner = inner
        self._changes = changes

    def __getattr__(self, operation: str) -> Any:
        plain = getattr(self._inner, operation)
        note = NOTED.get(f"{self._name}.{operation}")
        if note is None:
            return plain

        async def noted(*args: Any, **options: Any) -> Any:
            answer = await plain(*args, **options)
            note(self._changes, answer, *args)
            return answer

        return noted
