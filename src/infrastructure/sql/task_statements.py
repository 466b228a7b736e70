"""The statements about tasks, made once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    Text,
    Update,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from cueline.domain.task import Priority, TaskState
from cueline.infrastructure.sql.among import among
from cueline.infrastructure.sql.batches import (
    ChangeBatch,
    Given,
    GuardedInsertBatch,
    InsertBatch,
)
from cueline.infrastructure.sql.conditions import is_paused, may_be_given, of_a_live_worker
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.tables import queue_names, tasks
from cueline.infrastructure.sql.task_rows import COLUMNS, STATE_COLUMNS

# The state is written into these statements, so that the planner sees that a partial index fits.
_IS_QUEUED = literal_column("tasks.state") == literal_column(f"'{TaskState.QUEUED}'")
_IS_RUNNING = literal_column("tasks.state") == literal_column(f"'{TaskState.RUNNING}'")

_IS_STILL_QUEUED = tasks.c.state + literal_column("''") == literal_column(f"'{TaskState.QUEUED}'")
"""`_IS_QUEUED` for tasks that are named, so put that no partial index seems to fit.

As long as PostgreSQL has not analyzed the table, it takes the queued ones for few: it would rather
read the whole backlog than look for each task by its id.
"""

_NOW = bindparam("the_moment", type_=BigInteger)
_SINCE = bindparam("the_beginning", type_=BigInteger)
SINCE_OF = {priority: f"the_beginning_{priority.label}" for priority in Priority}
"""The parameters that say where to begin, for each priority."""

_SINCE_OF = {priority: bindparam(name, type_=BigInteger) for priority, name in SINCE_OF.items()}
_LIMIT = bindparam("the_limit", type_=BigInteger)

ALL_COLUMNS: Select[*tuple[Any, ...]] = select(*(tasks.c[name] for name in COLUMNS))

ADD = InsertBatch(tasks, COLUMNS, key="id", lock_by="key")

ADD_CLAIMED = GuardedInsertBatch(
    tasks,
    COLUMNS,
    {"the_worker": tasks.c.worker_id, "the_queue": tasks.c.queue},
    lambda given: may_be_given(given["the_worker"], given["the_queue"]),
    key="id",
    lock_by="key",
)

ADD_QUEUES = InsertBatch(queue_names, ("name",), key="name")


def _save(given: Given) -> Update:
    return (
        update(tasks)
        .values({name: given[f"new_{name}"] for name in STATE_COLUMNS})
        .where(tasks.c.id == given["the_id"], tasks.c.version == given["version_before"])
    )


def _claim(given: Given) -> Update:
    """`_save`, if the worker is live and the queue is not paused."""
    return _save(given).where(may_be_given(given["the_worker"], tasks.c.queue))


def _claim_free(given: Given) -> Update:
    """`_claim`, passing over what another has locked, which it then takes for changed."""
    locked = tasks.alias("locked")
    row = (
        select(locked.c.id).where(locked.c.id == given["the_id"]).with_for_update(skip_locked=True)
    )
    return _claim(given).where(row.exists())


_SAVED = {
    **{f"new_{name}": tasks.c[name] for name in STATE_COLUMNS},
    "the_id": tasks.c.id,
    "version_before": tasks.c.version,
}
SAVE = ChangeBatch(_SAVED, _save, key="the_id", answer=tasks.c.id)
CLAIM = ChangeBatch(
    {**_SAVED, "the_worker": tasks.c.worker_id},
    _claim,
    key="the_id",
    answer=tasks.c.id,
    build_beside=_claim_free,
)


def _set_dispatched(given: Given) -> Update:
    return (
        update(tasks)
        .values(dispatch_at=given["again_at"], dispatches=tasks.c.dispatches + literal_column("1"))
        .where(
            tasks.c.id == given["the_id"],
            _IS_STILL_QUEUED,
            tasks.c.dispatch_at < given["later_than"],
        )
    )


SET_DISPATCHED = ChangeBatch(
    {
        "again_at": tasks.c.dispatch_at,
        "the_id": tasks.c.id,
        "later_than": tasks.c.dispatch_at,
    },
    _set_dispatched,
    key="the_id",
    answer=tasks.c.id,
)

BY_IDS = Query(ALL_COLUMNS.where(among(tasks.c.id)))

SET_DUE = Query(
    update(tasks)
    .values(dispatch_at=case((tasks.c.run_at <= _NOW, _NOW), else_=tasks.c.run_at))
    .where(
        tasks.c.id.in_(
            select(tasks.c.id)
            .where(among(tasks.c.id), _IS_STILL_QUEUED)
            .with_for_update(skip_locked=True)
        )
    )
)
BY_KEYS = Query(ALL_COLUMNS.where(among(tasks.c.key), tasks.c.key.is_not(None)))
VERSIONS = Query(select(tasks.c.id, tasks.c.version).where(among(tasks.c.id)))
HELD_BY = Query(
    select(tasks.c.id, tasks.c.version).where(
        _IS_RUNNING, tasks.c.worker_id == bindparam("the_worker")
    )
)

ORPHANS = Query(
    ALL_COLUMNS.where(
        _IS_RUNNING,
        ~of_a_live_worker(tasks.c.worker_id),
    ).limit(_LIMIT)
)
"""In no order: one by id would make the planner walk the whole table."""


# One range of the index for each priority. Where several dispatchers can look at the same moment,
# each takes what no other has locked.
def _due(*names: str) -> Query:
    return Query(
        union_all(
            *(
                select(
                    select(*(tasks.c[name] for name in names))
                    .where(
                        tasks.c.queue == bindparam("the_queue"),
                        tasks.c.priority == literal_column(str(priority.value)),
                        _IS_QUEUED,
                        tasks.c.dispatch_at.between(_SINCE_OF[priority], _NOW),
                    )
                    .order_by(tasks.c.dispatch_at, tasks.c.id)
                    .limit(_LIMIT)
                    .with_for_update(skip_locked=True)
                    .subquery()
                ).where(~is_paused(bindparam("the_queue", type_=Text())))
                for priority in Priority
            )
        )
    )


DUE = _due("id", "priority", "dispatch_at", "dispatches")

CLAIMABLE = _due(*COLUMNS)

_OPEN_QUEUES = select(queue_names.c.name).where(~is_paused(queue_names.c.name))

# With a limit, so that it is looked up for each queue: of a mere EXISTS the planner, while it knows
# little of the table, makes a hash of the whole backlog.
DUE_QUEUES = Query(
    _OPEN_QUEUES.where(
        or_(
            *(
                select(literal_column("1"))
                .where(
                    tasks.c.queue == queue_names.c.name,
                    tasks.c.priority == literal_column(str(priority.value)),
                    _IS_QUEUED,
                    tasks.c.dispatch_at.between(_SINCE, _NOW),
                )
                .limit(literal_column("1"))
                .correlate(queue_names)
                .scalar_subquery()
                .is_not(None)
                for priority in Priority
            )
        )
    )
)

NEXT_DUE = Query(
    _OPEN_QUEUES.add_columns(
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
)
