"""The statements about runs, made once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Select, Update, bindparam, literal_column, select, update

from cueline.infrastructure.sql.among import among
from cueline.infrastructure.sql.batches import ChangeBatch, Given, InsertBatch, OnConflict
from cueline.infrastructure.sql.nested import rows_as_json
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.run_rows import (
    EVENT_COLUMNS,
    RUN_COLUMNS,
    STATE_COLUMNS,
    STEP_COLUMNS,
)
from cueline.infrastructure.sql.tables import run_events, run_steps, runs, tasks
from cueline.infrastructure.sql.types import as_it_is

ALL_COLUMNS: Select[Any] = select(*(as_it_is(runs.c[name]) for name in RUN_COLUMNS))

_steps: Select[Any] = select(*(as_it_is(run_steps.c[name]) for name in STEP_COLUMNS))
STEPS = Query(_steps.where(among(run_steps.c.run_id)))

_STEPS_OF_RUN = (
    select(rows_as_json(*(run_steps.c[name] for name in STEP_COLUMNS)))
    .where(run_steps.c.run_id == runs.c.id)
    .scalar_subquery()
)
WITH_STEPS = ALL_COLUMNS.add_columns(_STEPS_OF_RUN)
"""Each run, then its steps."""

OF_LONE_STEP = (
    select(
        rows_as_json(*(as_it_is(runs.c[name]) for name in RUN_COLUMNS), _STEPS_OF_RUN),
    )
    .where(runs.c.id == tasks.c.run_id, runs.c.active == literal_column("1"))
    .correlate(tasks)
    .scalar_subquery()
)
"""To be read with tasks: the row of `WITH_STEPS` of the run of which it is all that is under way.

Of a run with many tasks under way it would come along with each of them. (Among what an UPDATE
returns SQLAlchemy names columns for SQLite without their tables: `run_id` is the task's as long as
`runs` has none.)
"""

BY_IDS = Query(WITH_STEPS.where(among(runs.c.id)))
BY_KEYS = Query(WITH_STEPS.where(among(runs.c.key), runs.c.key.is_not(None)))

_seen = runs.alias("seen")
LOCK = Query(
    WITH_STEPS.add_columns(
        select(_seen.c.version).where(_seen.c.id == runs.c.id).scalar_subquery(),
    )
    .where(among(runs.c.id))
    .order_by(runs.c.id)
    .with_for_update(of=runs)
)
"""Each run as it is once it is locked; then its steps, and its version, as the statement began.

PostgreSQL reads a row anew that it had to wait for, but not what a subquery reads. If the two
versions differ, somebody else advanced the run meanwhile, and its steps have to be read again.
"""

_events: Select[Any] = select(*(as_it_is(run_events.c[name]) for name in EVENT_COLUMNS))
HISTORY = Query(
    _events.where(
        run_events.c.run_id == bindparam("the_run"),
        run_events.c.sequence > bindparam("after", type_=BigInteger),
    )
    .order_by(run_events.c.sequence)
    .limit(bindparam("the_limit", type_=BigInteger))
)

ADD = InsertBatch(runs, RUN_COLUMNS, key="id", lock_by="key")


def _save(given: Given) -> Update:
    return (
        update(runs)
        .values({name: given[f"new_{name}"] for name in STATE_COLUMNS})
        .where(runs.c.id == given["the_id"], runs.c.version == given["version_before"])
    )


_SAVED = {
    **{f"new_{name}": runs.c[name] for name in STATE_COLUMNS},
    "the_id": runs.c.id,
    "version_before": runs.c.version,
}
SAVE = ChangeBatch(_SAVED, _save, key="the_id", answer=runs.c.id)

PUT_STEPS = InsertBatch(run_steps, STEP_COLUMNS, key="run_id", on_conflict=OnConflict.REPLACE)
ADD_EVENTS = InsertBatch(run_events, EVENT_COLUMNS, key="run_id", on_conflict=OnConflict.FAIL)
