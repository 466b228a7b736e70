"""The statements about tasks, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    SmallInteger,
    Text,
    Update,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    null,
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
from cueline.infrastructure.sql.run_statements import OF_LONE_STEP
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


_SAVED = {
    **{f"new_{name}": tasks.c[name] for name in STATE_COLUMNS},
    "the_id": tasks.c.id,
    "version_before": tasks.c.version,
}
SAVE = ChangeBatch(_SAVED, _save, key="the_id", answer=tasks.c.id)


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


# One range of the index for each priority. Where several can look at the same moment, each takes
# what no other has locked.
def _due(
    names: Sequence[str], wanted: Callable[[Priority], Iterable[ColumnElement[bool]]] = lambda _: ()
) -> CompoundSelect[Any]:
    return union_all(
        *(
            select(
                select(*(tasks.c[name] for name in names))
                .where(
                    tasks.c.queue == bindparam("the_queue"),
                    tasks.c.priority == literal_column(str(priority.value)),
                    _IS_QUEUED,
                    tasks.c.dispatch_at.between(_SINCE_OF[priority], _NOW),
                    *wanted(priority),
                )
                .order_by(tasks.c.dispatch_at, tasks.c.id)
                .limit(_LIMIT)
                .with_for_update(skip_locked=True)
                .subquery()
            ).where(~is_paused(bindparam("the_queue", type_=Text())))
            for priority in Priority
        )
    )


DUE = Query(_due(("id", "priority", "dispatch_at", "dispatches")))


# --- claiming -------------------------------------------------------------------------------------

_WORKER = bindparam("the_worker", type_=Text())
_URGENCY = bindparam("the_urgency", type_=SmallInteger)

_CLAIMED: Mapping[str, Any] = {
    "state": literal_column(f"'{TaskState.RUNNING}'"),
    "version": tasks.c.version + literal_column("1"),
    "attempt": tasks.c.attempt + literal_column("1"),
    "worker_id": _WORKER,
    "started_at": _NOW,
    "dispatch_at": null(),
    "dispatches": literal_column("0"),
}
"""What `Task.claim` does, for a task that nobody has read yet."""


_WITH_RUN: Sequence[ColumnElement[Any]] = [*(tasks.c[name] for name in COLUMNS), OF_LONE_STEP]


def _claim() -> Query:
    locked = tasks.alias("locked")
    row = select(locked.c.id).where(locked.c.id == tasks.c.id).with_for_update(skip_locked=True)
    return Query(
        update(tasks)
        .values(_CLAIMED)
        .where(
            among(tasks.c.id),
            _IS_STILL_QUEUED,
            tasks.c.run_at <= _NOW,
            among(tasks.c.queue, "the_queues"),
            among(tasks.c.name, "the_names"),
            may_be_given(_WORKER, tasks.c.queue),
            row.exists(),
        )
        .returning(*_WITH_RUN)
    )


def _claim_due() -> Query:
    """For PostgreSQL. Each row ends with when it was due, and the ids of what has no handler.

    The parts of a union are read in their order, and only as far as the limit asks.
    """
    found = _due(
        ("id", "name", "dispatch_at"),
        lambda priority: [literal_column(str(priority.value)) <= _URGENCY],
    )
    due = select(found.subquery()).limit(_LIMIT).cte("due").prefix_with("MATERIALIZED")
    is_handled = among(due.c.name, "the_names")
    passed_over = select(func.array_agg(due.c.id)).where(not_(is_handled)).scalar_subquery()
    return Query(
        update(tasks)
        .values(_CLAIMED)
        .where(tasks.c.id == due.c.id, is_handled, of_a_live_worker(_WORKER))
        .returning(*_WITH_RUN, due.c.dispatch_at, passed_over)
    )


CLAIM = _claim()
CLAIM_DUE = _claim_due()

PUT_BACK = Query(
    update(tasks)
    .values(
        state=literal_column(f"'{TaskState.QUEUED}'"),
        version=tasks.c.version + literal_column("1"),
        dispatch_at=_NOW,
        worker_id=null(),
        started_at=null(),
    )
    .where(among(tasks.c.id), _IS_RUNNING, tasks.c.worker_id == _WORKER)
)
"""What `Task.release` does to what was just claimed, to be due at a later moment."""


# --- what there is --------------------------------------------------------------------------------

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
