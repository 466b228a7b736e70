"""Queues and workers as views."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cueline.application.queries import QueueDetail
from cueline.domain.worker import Worker
from cueline.interfaces.cli.table import Cell, Column, Table
from cueline.interfaces.cli.text import moment
from cueline.interfaces.cli.views.values import state_cell
from cueline.interfaces.documents.states import COUNTED


def queue_table(details: Sequence[QueueDetail]) -> Table:
    """Queues, one on a line."""
    columns = (
        Column("queue"),
        Column("state"),
        *(Column(state, right=True) for state in COUNTED),
        Column("workers", right=True),
        Column("slots", right=True, spare=True),
        Column("in broker", right=True, spare=True),
    )
    rows = [
        [
            Cell(detail.queue.name),
            state_cell("paused" if detail.queue.paused else "open"),
            *(Cell(str(detail.counts.get(state, 0))) for state in COUNTED),
            Cell(str(detail.workers)),
            Cell(str(detail.slots)),
            Cell("?" if detail.in_broker is None else str(detail.in_broker)),
        ]
        for detail in details
    ]
    return Table(columns, rows, "There are no queues yet: one comes with its first task or worker.")


def worker_table(workers: Sequence[Worker], now: datetime) -> Table:
    """Workers, one on a line."""
    columns = (
        Column("id"),
        Column("name", flexible=True),
        Column("state"),
        Column("slots", right=True),
        Column("queues", flexible=True),
        Column("started", spare=True),
        Column("lease until", spare=True),
    )
    rows = [
        [
            Cell(worker.id),
            Cell(worker.name),
            state_cell(_state(worker, now)),
            Cell(str(worker.slots)),
            Cell(", ".join(worker.queues)),
            Cell(moment(worker.started_at)),
            Cell(moment(worker.lease_until)),
        ]
        for worker in workers
    ]
    return Table(columns, rows, "No worker has been started yet: cueline worker --app MODULE:NAME")


def _state(worker: Worker, now: datetime) -> str:
    """The worker's state; `lapsed` once it is overdue and nobody has evicted it yet."""
    return "lapsed" if worker.has_lapsed(now) else worker.state.value
