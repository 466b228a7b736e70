"""The statements about tasks, made once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from cueline.domain.task import Priority, TaskState
from cueline.infrastructure.sql.batches import Batch, among_given, insert_batch
from cueline.infrastructure.sql.tables import queue_names, queues, tasks, workers
from cueline.infrastructure.sql.task_rows import COLUMNS, STATE_COLUMNS

# The state is written into these statements, so that the planner sees that a partial index fits.
_IS_QUEUED = literal_column("tasks.state") == literal_column(f"'{TaskState.QUEUED}'")
_IS_RUNNING = literal_column("tasks.state") == literal_column(f"'{TaskState.RUNNING}'")
_NOW = bindparam("the_moment", type_=BigInteger)
_LIMIT: BindParameter[int] = bindparam("the_limit")

ALL_COLUMNS: Select[*tuple[Any, ...]] = select(*(tasks.c[name] for name in COLUMNS))

ADD = insert_batch(tasks, COLUMNS, or_ignore=True)

ADD_QUEUES = insert_batch(queue_names, ("name",), or_ignore=True)

SAVE = Batch(
    update(tasks)
    .values({name: bindparam(f"new_{name}") for name in STATE_COLUMNS})
    .where(tasks.c.id == bindparam("the_id"), tasks.c.version == bindparam("version_before")),
    [*(f"new_{name}" for name in STATE_COLUMNS), "the_id", "version_before"],
)

SET_DISPATCHED = Batch(
    update(tasks)
    .values(dispatch_at=bindparam("again_at"), dispatches=tasks.c.dispatches + literal_column("1"))
    .where(
        tasks.c.id == bindparam("the_id"),
        literal_column("state") == literal_column(f"'{TaskState.QUEUED}'"),
        tasks.c.dispatch_at < bindparam("later_than"),
    ),
    ["again_at", "the_id", "later_than"],
)

SET_DUE = (
    update(tasks)
    .values(dispatch_at=_NOW)
    .where(
        tasks.c.id.in_(among_given()),
        tasks.c.state == TaskState.QUEUED.value,
        tasks.c.run_at <= _NOW,
    )
)

BY_IDS = ALL_COLUMNS.where(tasks.c.id.in_(among_given()))
BY_KEYS = ALL_COLUMNS.where(tasks.c.key.in_(among_given()), tasks.c.key.is_not(None))
VERSIONS = select(tasks.c.id, tasks.c.version).where(tasks.c.id.in_(among_given()))

ORPHANS = ALL_COLUMNS.where(
    _IS_RUNNING,
    ~exists().where(workers.c.id == tasks.c.worker_id, workers.c.state == "live"),
).limit(_LIMIT)
"""In no order: one by id would make the planner walk the whole table."""

# One range of the index for each priority.
DUE = union_all(
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
            .limit(_LIMIT)
            .subquery()
        )
        for priority in Priority
    )
)

_OPEN_QUEUES = select(queue_names.c.name).where(
    ~exists().where(queues.c.name == queue_names.c.name, queues.c.paused.is_(True))
)

DUE_QUEUES = _OPEN_QUEUES.where(
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

NEXT_DUE = _OPEN_QUEUES.add_columns(
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
