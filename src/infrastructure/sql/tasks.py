"""The tasks, in SQL."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, case, func, or_, select

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
from cueline.domain.task import LONGEST_RECOVERY, Priority, Task, TaskState
from cueline.infrastructure.sql import task_statements as statements
from cueline.infrastructure.sql.among import these
from cueline.infrastructure.sql.holding import holds
from cueline.infrastructure.sql.nested import rows_of
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.registry import SqlQueues
from cueline.infrastructure.sql.runs import SqlRuns
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.tables import tasks
from cueline.infrastructure.sql.task_rows import COLUMNS, spec_values, state_values, task_of
from cueline.infrastructure.sql.types import from_microseconds, to_microseconds

log = logging.getLogger(__name__)

AnySelect: TypeAlias = Select[*tuple[Any, ...]]


class SqlTasks(TaskRepository):
    """Tasks as rows; the spec's columns are written once, the state's at each transition."""

    def __init__(self, session: Session, queues: SqlQueues, runs: SqlRuns) -> None:
        self._session = session
        self._queues = queues
        self._runs = runs

    async def add_many(self, new: Sequence[Task]) -> set[TaskId]:
        if not new:
            return set()
        await self._queues.note({task.spec.queue for task in new})
        rows = [(*spec_values(task.spec), *state_values(task)) for task in new]
        written = await self._session.write_each(statements.ADD, rows)
        return {task.id for task, was_new in zip(new, written, strict=True) if was_new}

    async def add_claimed(self, new: Sequence[Task]) -> set[TaskId]:
        if not new:
            return set()
        await self._queues.note({task.spec.queue for task in new})
        rows = [
            (*spec_values(task.spec), *state_values(task), task.worker_id, task.spec.queue)
            for task in new
        ]
        written = await self._session.write_each(statements.ADD_CLAIMED, rows)
        return {task.id for task, was_new in zip(new, written, strict=True) if was_new}

    async def get_many(self, ids: Collection[TaskId]) -> list[Task]:
        return await self._select(statements.BY_IDS, ids)

    async def by_keys(self, keys: Collection[str]) -> list[Task]:
        return await self._select(statements.BY_KEYS, keys)

    async def save_many(self, changed: Sequence[Task]) -> set[TaskId]:
        if not changed:
            return set()
        rows = [(*state_values(task), task.id, task.version - 1) for task in changed]
        written = await self._session.write_each(statements.SAVE, rows)
        return {task.id for task, was_saved in zip(changed, written, strict=True) if not was_saved}

    async def claim_many(
        self, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        if not ids:
            return []
        wanted = {**these(ids), **_of_claimant(claimant, now), "the_queues": list(claimant.queues)}
        return await self._claimed(
            await self._session.fetch(statements.CLAIM, wanted), claimant, now
        )

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
        if self._session.dialect == "sqlite":  # where a round trip costs nothing
            found = await self.due(queue, now, limit, since)
            due = [each for each in found if each.priority <= urgency]
            return Taken.of(await self.claim_many([each.id for each in due], claimant, now), due)
        span = {**_of_queue(queue, limit, since), "the_urgency": urgency.value}
        rows = await self._session.fetch(
            statements.CLAIM_DUE, {**span, **_of_claimant(claimant, now)}
        )
        if not (claimed := await self._claimed(rows, claimant, now)):
            return Taken([])
        passed_over = frozenset(rows[0][-1] or ())
        return Taken(claimed, passed_over, len(rows) + len(passed_over), _earliest(rows))

    async def _claimed(self, rows: Sequence[Any], claimant: Claimant, now: datetime) -> list[Task]:
        """What these rows hold; those that cannot be read are put off."""
        self._runs.note_read(run for row in rows for run in rows_of(row[len(COLUMNS)]))
        claimed, unreadable = _read(rows)
        if unreadable:
            later = to_microseconds(now + LONGEST_RECOVERY)
            holder = {"the_worker": claimant.worker_id, "the_moment": later}
            await self._session.fetch(statements.PUT_BACK, {**these(unreadable), **holder})
        return claimed

    async def due(
        self, queue: str, now: datetime, limit: int, since: Since = ANY_TIME
    ) -> list[DueTask]:
        span = {**_of_queue(queue, limit, since), "the_moment": to_microseconds(now)}
        rows = await self._session.fetch(statements.DUE, span)
        found = [
            DueTask(TaskId(row[0]), queue, Priority(row[1]), from_microseconds(row[2]), row[3])
            for row in rows
        ]
        found.sort(key=lambda due: due.priority)  # stable: keeps the order within a priority
        return found[:limit]

    async def due_queues(self, now: datetime, since: datetime | None = None) -> set[str]:
        span = {"the_beginning": _beginning(since), "the_moment": to_microseconds(now)}
        return {row[0] for row in await self._session.fetch(statements.DUE_QUEUES, span)}

    async def next_due(self, now: datetime) -> datetime | None:
        moment = {"the_moment": to_microseconds(now)}
        result = await self._session.fetch(statements.NEXT_DUE, moment)
        counts = [count for row in result for count in tuple(row)[1:] if count is not None]
        return from_microseconds(min(counts)) if counts else None

    async def set_dispatched(self, handed: Mapping[TaskId, datetime]) -> None:
        if handed:
            moments = ((id, to_microseconds(again)) for id, again in handed.items())
            await self._session.write_many(
                statements.SET_DISPATCHED, [(again, id, again) for id, again in moments]
            )

    async def set_due(self, ids: Collection[TaskId], now: datetime) -> None:
        if ids:
            parameters = {**these(ids), "the_moment": to_microseconds(now)}
            await self._session.fetch(statements.SET_DUE, parameters)

    async def orphans(self, limit: int) -> list[Task]:
        return _read(await self._session.fetch(statements.ORPHANS, {"the_limit": limit}))[0]

    async def held_by(self, worker_id: WorkerId) -> dict[TaskId, int]:
        result = await self._session.fetch(statements.HELD_BY, {"the_worker": worker_id})
        return {TaskId(row[0]): row[1] for row in result}

    async def versions(self, ids: Collection[TaskId]) -> dict[TaskId, int]:
        if not ids:
            return {}
        result = await self._session.fetch(statements.VERSIONS, these(ids))
        return {TaskId(row[0]): row[1] for row in result}

    async def search(self, wanted: TaskFilter, page: Page, now: datetime) -> list[Task]:
        query = _filtered(statements.ALL_COLUMNS, wanted, now)
        if page.after is not None:
            query = query.where(tasks.c.id < page.after)
        result = await self._session.scan(query.order_by(tasks.c.id.desc()).limit(page.limit))
        return _read(result.rows)[0]

    async def count_by_queue(self, now: datetime) -> dict[str, dict[str, int]]:
        ahead = tasks.c.run_at > to_microseconds(now)
        state = case(
            ((tasks.c.state == TaskState.QUEUED.value) & ahead, "scheduled"), else_=tasks.c.state
        ).label("shown")
        result = await self._session.scan(
            select(tasks.c.queue, state, func.count()).group_by(tasks.c.queue, state)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in result:
            counts.setdefault(row[0], {})[row[1]] = row[2]
        return counts

    async def _select(self, query: Query, values: Collection[str]) -> list[Task]:
        if not values:
            return []
        return _read(await self._session.fetch(query, these(values)))[0]


def _of_queue(queue: str, limit: int, since: Since) -> dict[str, Any]:
    """From where to look in a queue, and how far."""
    beginnings = {
        name: _beginning(since.get(priority)) for priority, name in statements.SINCE_OF.items()
    }
    return {"the_queue": queue, "the_limit": limit, **beginnings}


def _of_claimant(claimant: Claimant, now: datetime) -> dict[str, Any]:
    return {
        "the_worker": claimant.worker_id,
        "the_names": list(claimant.names),
        "the_moment": to_microseconds(now),
    }


def _earliest(rows: Sequence[Any]) -> Since:
    """`earliest`, of rows of `CLAIM_DUE`."""
    counts: dict[int, int] = {}
    for row in rows:
        priority, was_due = row[_PRIORITY], row[-2]
        if was_due < counts.get(priority, was_due + 1):
            counts[priority] = was_due
    return {Priority(priority): from_microseconds(count) for priority, count in counts.items()}


_PRIORITY = COLUMNS.index("priority")


def _read(rows: Sequence[Any]) -> tuple[list[Task], list[str]]:
    """The tasks, and the ids of those that a later version has written in a way unknown here."""
    readable: list[Task] = []
    unreadable: list[str] = []
    for row in rows:
        try:
            readable.append(task_of(row))
        except (ValueError, LookupError, TypeError, OverflowError):
            unreadable.append(row[0])
    if unreadable:
        log.error("tasks that this version cannot read: %s", ", ".join(unreadable))
    return readable, unreadable


def _beginning(since: datetime | None) -> int:
    """In microseconds; before any moment if there is none."""
    return -(2**63) if since is None else to_microseconds(since)


def _filtered(query: AnySelect, wanted: TaskFilter, now: datetime) -> AnySelect:
    if wanted.states:
        query = query.where(tasks.c.state.in_([state.value for state in wanted.states]))
    if wanted.scheduled is not None:
        moment = to_microseconds(now)
        ahead = tasks.c.run_at > moment if wanted.scheduled else tasks.c.run_at <= moment
        query = query.where(or_(tasks.c.state != TaskState.QUEUED.value, ahead))
    if wanted.queue is not None:
        query = query.where(tasks.c.queue == wanted.queue)
    if wanted.name is not None:
        query = query.where(tasks.c.name == wanted.name)
    if wanted.run_id is not None:
        query = query.where(tasks.c.run_id == wanted.run_id)
    if wanted.tag is not None:
        query = query.where(holds(tasks.c.tags, wanted.tag))
    return query
