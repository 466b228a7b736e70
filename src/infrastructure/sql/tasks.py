"""The tasks, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Select,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from cueline.application.ports.persistence import DueTask, Page, TaskFilter, TaskRepository
from cueline.domain.identifiers import Purpose, RunId, TaskId, WorkerId
from cueline.domain.task import Origin, Priority, Task, TaskSpec, TaskState
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.session import AnyRow, Session, chunks
from cueline.infrastructure.sql.tables import queue_names, queues, tasks, workers
from cueline.infrastructure.sql.types import Moment

_SAVE = (
    update(tasks)
    .where(tasks.c.id == bindparam("the_id"), tasks.c.version == bindparam("the_version"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "state",
                "version",
                "run_at",
                "dispatch_at",
                "dispatches",
                "attempt",
                "failures",
                "worker_id",
                "started_at",
                "ended_at",
                "output",
                "failure",
            )
        }
    )
)

_SET_DISPATCHED = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("the_id"),
        tasks.c.state == TaskState.QUEUED.value,
        tasks.c.dispatch_at < bindparam("again_at"),
    )
    .values(dispatch_at=bindparam("again_at"), dispatches=tasks.c.dispatches + 1)
)

_OPEN_QUEUES = select(queue_names.c.name).where(
    ~exists().where(queues.c.name == queue_names.c.name, queues.c.paused.is_(True))
)

# The state is written into these statements, so that the planner sees that a partial index fits.
_IS_QUEUED = literal_column("tasks.state") == literal_column(f"'{TaskState.QUEUED}'")
_IS_RUNNING = literal_column("tasks.state") == literal_column(f"'{TaskState.RUNNING}'")
_NOW = bindparam("the_moment", type_=Moment)

_DUE = union_all(
    *(
        select(
            select(tasks.c.id, tasks.c.priority, tasks.c.dispatches)
            .where(
                tasks.c.queue == bindparam("the_queue"),
                tasks.c.priority == literal_column(str(priority.value)),
                _IS_QUEUED,
                tasks.c.dispatch_at <= _NOW,
            )
            .order_by(tasks.c.dispatch_at, tasks.c.id)
            .limit(bindparam("the_limit"))
            .subquery()
        )
        for priority in Priority
    )
)

_DUE_QUEUES = _OPEN_QUEUES.where(
    or_(
        *(
            exists().where(
                tasks.c.queue == queue_names.c.name,
                tasks.c.priority == literal_column(str(priority.value)),
                _IS_QUEUED,
                tasks.c.dispatch_at <= _NOW,
            )
            for priority in Priority
        )
    )
)

_NEXT_DUE = _OPEN_QUEUES.add_columns(
    *(
        select(func.min(tasks.c.dispatch_at))
        .where(
            tasks.c.queue == queue_names.c.name,
            tasks.c.priority == literal_column(str(priority.value)),
            _IS_QUEUED,
            tasks.c.dispatch_at > _NOW,
        )
        .correlate(queue_names)
        .scalar_subquery()
        for priority in Priority
    )
)

_GET_MANY = select(tasks).where(tasks.c.id.in_(bindparam("the_values", expanding=True)))
_BY_KEYS = select(tasks).where(tasks.c.key.in_(bindparam("the_values", expanding=True)))
_VERSIONS = select(tasks.c.id, tasks.c.version).where(
    tasks.c.id.in_(bindparam("the_values", expanding=True))
)

_ORPHANS = (
    select(tasks)
    .where(
        _IS_RUNNING,
        ~exists().where(workers.c.id == tasks.c.worker_id, workers.c.state == "live"),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("the_limit"))
)


class SqlTasks(TaskRepository):
    """Tasks as rows; the spec's columns are written once, the state's at each transition."""

    def __init__(self, session: Session, known_queues: set[str], new_queues: set[str]) -> None:
        """Queues first seen here go into `new_queues`; they are known once it is committed."""
        self._session = session
        self._known_queues = known_queues
        self._new_queues = new_queues

    async def add_many(self, new: Sequence[Task]) -> set[TaskId]:
        if not new:
            return set()
        await self._note_queues({task.spec.queue for task in new})
        result = await self._session.execute(
            self._session.insert(tasks).on_conflict_do_nothing().returning(tasks.c.id),
            [_whole_row(task) for task in new],
        )
        return {TaskId(row.id) for row in result}

    async def get_many(self, ids: Collection[TaskId]) -> list[Task]:
        return await self._select(_GET_MANY, ids)

    async def by_keys(self, keys: Collection[str]) -> list[Task]:
        return await self._select(_BY_KEYS, keys)

    async def save_many(self, changed: Sequence[Task]) -> set[TaskId]:
        if not changed:
            return set()
        # The transaction holds the database's only write lock, so that what is read here is still
        # true when it is written.
        present = await self.versions([task.id for task in changed])
        current = [task for task in changed if present.get(task.id) == task.version - 1]
        if current:
            await self._session.execute(_SAVE, [_state_row(task) for task in current])
        return {task.id for task in changed} - {task.id for task in current}

    async def due(self, queue: str, now: datetime, limit: int) -> list[DueTask]:
        # One range of the index for each priority; together they are the order in which to go.
        result = await self._session.execute(
            _DUE, {"the_queue": queue, "the_moment": now, "the_limit": limit}
        )
        found = [
            DueTask(TaskId(row.id), queue, Priority(row.priority), row.dispatches) for row in result
        ]
        found.sort(key=lambda due: due.priority)  # stable: keeps the order within a priority
        return found[:limit]

    async def due_queues(self, now: datetime) -> set[str]:
        result = await self._session.execute(_DUE_QUEUES, {"the_moment": now})
        return {row.name for row in result}

    async def next_due(self, now: datetime) -> datetime | None:
        result = await self._session.execute(_NEXT_DUE, {"the_moment": now})
        return min((moment for row in result for moment in row[1:] if moment), default=None)

    async def set_dispatched(self, handed: Mapping[TaskId, datetime]) -> None:
        if handed:
            await self._session.execute(
                _SET_DISPATCHED,
                [{"the_id": id, "again_at": again} for id, again in handed.items()],
            )

    async def set_due(self, ids: Collection[TaskId], now: datetime) -> None:
        for chunk in chunks(list(ids)):
            await self._session.execute(
                update(tasks)
                .where(tasks.c.id.in_(chunk), tasks.c.state == TaskState.QUEUED.value)
                .where(tasks.c.run_at <= now)
                .values(dispatch_at=now)
            )

    async def orphans(self, limit: int) -> list[Task]:
        result = await self._session.execute(_ORPHANS, {"the_limit": limit})
        return [_task(row) for row in result]

    async def versions(self, ids: Collection[TaskId]) -> dict[TaskId, int]:
        found: dict[TaskId, int] = {}
        for chunk in chunks(list(ids)):
            result = await self._session.execute(_VERSIONS, {"the_values": chunk})
            found.update((TaskId(row.id), row.version) for row in result)
        return found

    async def search(self, wanted: TaskFilter, page: Page, now: datetime) -> list[Task]:
        query = _filtered(select(tasks), wanted, now)
        if page.after is not None:
            query = query.where(tasks.c.id < page.after)
        result = await self._session.scan(query.order_by(tasks.c.id.desc()).limit(page.limit))
        return [_task(row) for row in result]

    async def count_by_queue(self, now: datetime) -> dict[str, dict[str, int]]:
        state = case(
            (
                (tasks.c.state == TaskState.QUEUED.value) & (tasks.c.run_at > now),
                "scheduled",
            ),
            else_=tasks.c.state,
        ).label("shown")
        result = await self._session.scan(
            select(tasks.c.queue, state, func.count()).group_by(tasks.c.queue, state)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in result:
            counts.setdefault(row[0], {})[row[1]] = row[2]
        return counts

    async def _select(self, query: Select[Any], values: Collection[str]) -> list[Task]:
        found: list[Task] = []
        for chunk in chunks(list(values)):
            result = await self._session.execute(query, {"the_values": chunk})
            found.extend(_task(row) for row in result)
        return found

    async def _note_queues(self, names: set[str]) -> None:
        new = names - self._known_queues - self._new_queues
        if new:
            await self._session.execute(
                self._session.insert(queue_names).on_conflict_do_nothing(),
                [{"name": name} for name in sorted(new)],
            )
            self._new_queues |= new


def _filtered(query: Select[Any], wanted: TaskFilter, now: datetime) -> Select[Any]:
    if wanted.states:
        query = query.where(tasks.c.state.in_([state.value for state in wanted.states]))
    if wanted.scheduled is not None:
        ahead = tasks.c.run_at > now if wanted.scheduled else tasks.c.run_at <= now
        query = query.where(or_(tasks.c.state != TaskState.QUEUED.value, ahead))
    if wanted.queue is not None:
        query = query.where(tasks.c.queue == wanted.queue)
    if wanted.name is not None:
        query = query.where(tasks.c.name == wanted.name)
    if wanted.run_id is not None:
        query = query.where(tasks.c.run_id == wanted.run_id)
    if wanted.tag is not None:
        query = query.where(cast(tasks.c.tags, Text).contains(rows.json_text(wanted.tag)))
    return query


def _whole_row(task: Task) -> dict[str, Any]:
    spec = task.spec
    origin = spec.origin
    row = _state_row(task)
    del row["the_id"], row["the_version"]
    row.update(
        id=spec.id,
        name=spec.name,
        queue=spec.queue,
        priority=spec.priority.value,
        input=spec.input,
        created_at=spec.created_at,
        retry=rows.retry_document(spec.retry),
        timeout=spec.timeout.total_seconds() if spec.timeout is not None else None,
        key=spec.key,
        tags=spec.tags or None,
        run_id=origin.run_id if origin else None,
        step=origin.step if origin else None,
        purpose=origin.purpose.value if origin else None,
    )
    return row


def _state_row(task: Task) -> dict[str, Any]:
    return {
        "the_id": task.spec.id,
        "the_version": task.version - 1,
        "state": task.state.value,
        "version": task.version,
        "run_at": task.run_at,
        "dispatch_at": task.dispatch_at,
        "dispatches": task.dispatches,
        "attempt": task.attempt,
        "failures": task.failures,
        "worker_id": task.worker_id,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "output": task.output,
        "failure": rows.failure_document(task.failure),
    }


def _task(row: AnyRow) -> Task:
    origin = None
    if row.run_id is not None:
        origin = Origin(RunId(row.run_id), row.step, Purpose(row.purpose))
    spec = TaskSpec(
        id=TaskId(row.id),
        name=row.name,
        input=row.input,
        created_at=row.created_at,
        queue=row.queue,
        priority=Priority(row.priority),
        retry=rows.retry_policy(row.retry),
        timeout=timedelta(seconds=row.timeout) if row.timeout is not None else None,
        key=row.key,
        tags=tuple(row.tags or ()),
        origin=origin,
    )
    return Task(
        spec=spec,
        run_at=row.run_at,
        dispatch_at=row.dispatch_at,
        state=TaskState(row.state),
        version=row.version,
        dispatches=row.dispatches,
        attempt=row.attempt,
        failures=row.failures,
        worker_id=WorkerId(row.worker_id) if row.worker_id is not None else None,
        started_at=row.started_at,
        ended_at=row.ended_at,
        output=row.output,
        failure=rows.failure(row.failure),
    )
