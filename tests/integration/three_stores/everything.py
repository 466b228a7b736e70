"""All that can be seen of a store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.questions import Page, RunFilter, TaskFilter
from cueline.domain.task import Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import Run
from tests.integration.three_stores.drawing import KEYS, RUN_IDS, TALKATIVE, TASK_IDS, WORKER_IDS

MANY = 1000


async def everything(uow: UnitOfWork, now: datetime) -> dict[str, Any]:
    """Everything that a unit of work sees, where the port gives no order by id."""
    tasks, runs, journal = uow.tasks, uow.runs, uow.journal
    return {
        "tasks": await tasks.search(TaskFilter(), Page(MANY), now),
        "tasks by id": by_id(await tasks.get_many(TASK_IDS)),
        "tasks by key": by_id(await tasks.by_keys(KEYS)),
        "versions": ordered(await tasks.versions(TASK_IDS)),
        "counts": counted(await tasks.count_by_queue(now)),
        "due queues": await tasks.due_queues(now),
        "next due": await tasks.next_due(now),
        "orphans": by_id(await tasks.orphans(MANY)),
        "held": [ordered(await tasks.held_by(worker)) for worker in WORKER_IDS],
        "runs": await runs.search(RunFilter(), Page(MANY)),
        "runs by id": by_id(await runs.get_many(RUN_IDS)),
        "runs by key": by_id(await runs.by_keys(KEYS)),
        "histories": [await runs.history(run, 0, MANY) for run in RUN_IDS],
        "workflows": await uow.workflows.list_all(),
        "definitions": await uow.definitions.list_all(),
        "queues": await uow.queues.list_all(),
        "workers": await uow.workers.search(MANY),
        "live workers": by_id(await uow.workers.live()),
        "attempts": [await journal.attempts(task) for task in TALKATIVE],
        "logs": [in_order(await journal.logs(task, 0, MANY)) for task in TALKATIVE],
        "progress": ordered(await journal.progress(TASK_IDS)),
    }


def by_id(found: Iterable[Task] | Iterable[Run] | Iterable[Worker]) -> list[Any]:
    """What came in no particular order, in one; what came twice is still there twice."""
    return sorted(found, key=lambda each: each.id)


def ordered(found: dict[Any, Any]) -> dict[Any, Any]:
    """The same for what came by key."""
    return dict(sorted(found.items()))


def counted(found: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """The same for counts. A zero may be said or left out."""
    kept = {
        queue: {state: number for state, number in sorted(states.items()) if number}
        for queue, states in sorted(found.items())
    }
    return {queue: states for queue, states in kept.items() if states}


def in_order(lines: list[tuple[int, LogEntry]]) -> list[LogEntry]:
    """Log lines without their positions: those must rise, but each store counts for itself."""
    positions = [position for position, _ in lines]
    assert positions == sorted(set(positions)), positions
    assert not positions or positions[0] > 0, positions
    return [line for _, line in lines]
