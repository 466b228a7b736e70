"""The tasks in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile

from cueline.application.ports.persistence import TaskRepository
from cueline.application.ports.questions import (
    ANY_TIME,
    Claimant,
    DueTask,
    Page,
    Since,
    Taken,
    TaskFilter,
)
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.task import Priority, Task, TaskState
from cueline.domain.worker import WorkerState
from cueline.infrastructure.memory.copying import copy_of_task
from cueline.infrastructure.memory.tables import (
    TASKS_BY_KEY,
    TASKS_BY_RUN,
    TASKS_BY_STANDING,
    TASKS_BY_WORKER,
    TASKS_TO_DISPATCH,
    Access,
    Views,
)


class MemoryTasks(TaskRepository):
    """The tasks, found by id, key, run, worker, state, and by when they are due."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add_many(self, tasks: Sequence[Task]) -> set[TaskId]:
        rows = self._access.change().tasks
        added: set[TaskId] = set()
        for task in tasks:
            key = task.spec.key
            taken = key is not None and any(rows.ascending(TASKS_BY_KEY, key))
            if not taken and rows.get(task.id) is None:
                rows.put(task.id, copy_of_task(task))
                added.add(task.id)
        return added

    async def get_many(self, ids: Collection[TaskId]) -> list[Task]:
        rows = self._access.look().tasks
        found = (rows.get(id) for id in dict.fromkeys(ids))
        return [copy_of_task(task) for task in found if task is not None]

    async def by_keys(self, keys: Collection[str]) -> list[Task]:
        rows = self._access.look().tasks
        return [
            copy_of_task(task)
            for key in dict.fromkeys(keys)
            for task in rows.ascending(TASKS_BY_KEY, key)
        ]

    async def save_many(self, tasks: Sequence[Task]) -> set[TaskId]:
        rows = self._access.change().tasks
        stale: set[TaskId] = set()
        for task in tasks:
            held = rows.get(task.id)
            if held is None or held.version != task.version - 1:
                stale.add(task.id)
            else:
                rows.put(task.id, copy_of_task(task, held.spec))
        return stale

    async def add_claimed(self, tasks: Sequence[Task]) -> set[TaskId]:
        return await self.add_many(_may_be_given(self._access.change(), tasks))

    async def claim_many(
        self, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        views = self._access.change()
        found = (views.tasks.get(id) for id in dict.fromkeys(ids))
        wanted = [
            task.claim(claimant.worker_id, now)
            for task in found
            if task is not None
            and task.is_ready(now)
            and claimant.serves(task)
            and claimant.handles(task)
        ]
        claimed = _may_be_given(views, wanted)
        for task in claimed:
            views.tasks.put(task.id, task)
        return [copy_of_task(task) for task in claimed]

    async def claim_due(
        self,
        queue: str,
        claimant: Claimant,
        now: datetime,
        limit: int,
        urgency: Priority = Priority.LOW,
        since: Since = ANY_TIME,
    ) -> Taken:
        if queue not in claimant.queues:
            return Taken([])
        found = self._due(queue, now, limit, since)
        due = [each for each in found if each.priority <= urgency]
        return Taken.of(await self.claim_many([each.id for each in due], claimant, now), due)

    async def due(
        self, queue: str, now: datetime, limit: int, since: Since = ANY_TIME
    ) -> list[DueTask]:
        return self._due(queue, now, limit, since)

    def _due(self, queue: str, now: datetime, limit: int, since: Since) -> list[DueTask]:
        views = self._access.look()
        found = () if queue in _paused_queues(views) else _due(views, queue, now, since)
        return [
            DueTask(task.id, queue, task.spec.priority, task.dispatch_at, task.dispatches)
            for task in islice(found, limit)
            if task.dispatch_at is not None
        ]

    async def due_queues(self, now: datetime, since: datetime | None = None) -> set[str]:
        views = self._access.look()
        begin = ANY_TIME if since is None else dict.fromkeys(Priority, since)
        return {name for name in _unpaused_queues(views) if any(_due(views, name, now, begin))}

    async def next_due(self, now: datetime) -> datetime | None:
        views = self._access.look()
        ahead = (now + timedelta.resolution,)
        times = [
            task.dispatch_at
            for queue in _unpaused_queues(views)
            for priority in Priority
            for task in islice(
                views.tasks.ascending(TASKS_TO_DISPATCH, (queue, priority), ahead), 1
            )
            if task.dispatch_at is not None
        ]
        return min(times, default=None)

    async def set_dispatched(self, handed: Mapping[TaskId, datetime]) -> None:
        rows = self._access.change().tasks
        for id, again in handed.items():
            task = rows.get(id)
            if task is None or task.state is not TaskState.QUEUED:
                continue
            if task.dispatch_at is None or task.dispatch_at < again:
                dispatches = task.dispatches + 1
                rows.put(id, replace(task, dispatch_at=again, dispatches=dispatches))

    async def set_due(self, ids: Collection[TaskId], now: datetime) -> None:
        rows = self._access.change().tasks
        for id in ids:
            task = rows.get(id)
            if task is not None and task.state is TaskState.QUEUED:
                rows.put(id, replace(task, dispatch_at=max(now, task.run_at)))

    async def orphans(self, limit: int) -> list[Task]:
        views = self._access.look()
        return [copy_of_task(task) for task in islice(_orphans(views), limit)]

    async def held_by(self, worker_id: WorkerId) -> dict[TaskId, int]:
        rows = self._access.look().tasks
        return {task.id: task.version for task in rows.ascending(TASKS_BY_WORKER, worker_id)}

    async def versions(self, ids: Collection[TaskId]) -> dict[TaskId, int]:
        rows = self._access.look().tasks
        found = (rows.get(id) for id in ids)
        return {task.id: task.version for task in found if task is not None}

    async def search(self, wanted: TaskFilter, page: Page, now: datetime) -> list[Task]:
        fitting = (
            task
            for task in _newest(self._access.look(), wanted, page.after)
            if _fits(task, wanted, now)
        )
        return [copy_of_task(task) for task in islice(fitting, page.limit)]

    async def count_by_queue(self, now: datetime) -> dict[str, dict[str, int]]:
        views = self._access.look()
        counts: dict[str, dict[str, int]] = {}
        for (queue, state), number in views.tasks.counts(TASKS_BY_STANDING).items():
            if not number:
                continue
            of_queue = counts.setdefault(queue, {})
            scheduled = _count_scheduled(views, queue, now) if state is TaskState.QUEUED else 0
            if scheduled:
                of_queue["scheduled"] = scheduled
            if number > scheduled:
                of_queue[state.value] = number - scheduled
        return counts


def _due(views: Views, queue: str, now: datetime, since: Since) -> Iterator[Task]:
    for priority in Priority:
        start = (since[priority],) if priority in since else ()
        yield from takewhile(
            lambda task: task.dispatch_at is not None and task.dispatch_at <= now,
            views.tasks.ascending(TASKS_TO_DISPATCH, (queue, priority), start),
        )


def _may_be_given(views: Views, claimed: Sequence[Task]) -> list[Task]:
    """Those whose worker is live, and whose queue is not paused."""
    workers, paused = views.workers, _paused_queues(views)
    return [
        task
        for task in claimed
        if task.spec.queue not in paused
        and task.worker_id is not None
        and (worker := workers.get(task.worker_id)) is not None
        and worker.state is WorkerState.LIVE
    ]


def _paused_queues(views: Views) -> set[str]:
    return {queue.name for queue in views.queues.rows() if queue.paused}


def _unpaused_queues(views: Views) -> set[str]:
    return {name for name, _ in views.tasks.groups(TASKS_TO_DISPATCH)} - _paused_queues(views)


def _count_scheduled(views: Views, queue: str, now: datetime) -> int:
    """A task whose run time is ahead is to be dispatched no earlier; one sent out may be, too."""
    ahead = (now + timedelta.resolution,)
    return sum(
        task.is_scheduled(now)
        for priority in Priority
        for task in views.tasks.ascending(TASKS_TO_DISPATCH, (queue, priority), ahead)
    )


def _orphans(views: Views) -> Iterator[Task]:
    live = {worker.id for worker in views.workers.rows() if worker.state is WorkerState.LIVE}
    for worker in sorted(views.tasks.groups(TASKS_BY_WORKER) - live):
        yield from views.tasks.ascending(TASKS_BY_WORKER, worker)


def _newest(views: Views, wanted: TaskFilter, after: str | None) -> Iterator[Task]:
    """The tasks among which to look, by descending id: as few as the indexes allow."""
    end = None if after is None else (after,)
    if wanted.run_id is not None:
        return views.tasks.descending(TASKS_BY_RUN, [wanted.run_id], end)
    groups = [
        (queue, state)
        for queue, state in views.tasks.groups(TASKS_BY_STANDING)
        if (wanted.queue is None or queue == wanted.queue)
        and (not wanted.states or state in wanted.states)
    ]
    return views.tasks.descending(TASKS_BY_STANDING, groups, end)


def _fits(task: Task, wanted: TaskFilter, now: datetime) -> bool:
    spec = task.spec
    return (
        (not wanted.states or task.state in wanted.states)
        and (
            wanted.scheduled is None
            or task.state is not TaskState.QUEUED
            or task.is_scheduled(now) is wanted.scheduled
        )
        and (wanted.queue is None or spec.queue == wanted.queue)
        and (wanted.name is None or spec.name == wanted.name)
        and (wanted.tag is None or wanted.tag in spec.tags)
    )
