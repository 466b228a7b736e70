"""Conditions under which a worker may be given a task, as statements put them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, exists, literal_column

from cueline.domain.worker import WorkerState
from cueline.infrastructure.sql.tables import queues, workers

IS_LIVE = workers.c.state == literal_column(f"'{WorkerState.LIVE}'")
"""Of a row of `workers`; written out, so that the planner sees that a partial index fits."""


def of_a_live_worker(worker_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the worker of that id is live."""
    return exists().where(workers.c.id == worker_id, IS_LIVE)


def is_paused(queue: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the queue of that name is paused.

    It is looked up by its name. To read those that are paused at once would be dear: a writer's
    connection holds any such reading to cost so much (`ROW_BY_ROW`) that it plans anew.
    """
    return exists().where(queues.c.name == queue, queues.c.paused.is_(True))


def may_be_given(worker_id: ColumnElement[Any], queue: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a worker may be given a task of a queue now."""
    return and_(of_a_live_worker(worker_id), ~is_paused(queue))
