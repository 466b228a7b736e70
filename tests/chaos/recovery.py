"""How long it took until what a fault had hit was done.

A fault hits the tasks that its worker was running; one that befalls a server hits all that had been
submitted and had not ended. The time is that from the fault to the end of each of them, by the
database's clock and this machine's, which are the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.app import work
from tests.chaos.database import Database

_UNDER_WORKERS = """
    SELECT e.ended - f.at
    FROM unnest($1::float8[], $2::text[]) AS f (at, worker)
    JOIN workers AS w ON w.name = f.worker
    JOIN (
        SELECT task_id, worker, state, at AS since,
            lead(at) OVER (PARTITION BY task_id ORDER BY position) AS until
        FROM moves
    ) AS held ON held.worker = w.id AND held.state = 'running'
        AND held.since <= f.at AND held.until > f.at
    JOIN (
        SELECT task_id, max(at) AS ended FROM moves
        WHERE state IN ('succeeded', 'failed', 'cancelled') GROUP BY task_id
    ) AS e ON e.task_id = held.task_id
    JOIN tasks AS t ON t.id = e.task_id AND t.name = $3
"""

_ALL_OPEN = """
    SELECT l.ended - f.at
    FROM unnest($1::float8[]) AS f (at)
    JOIN (
        SELECT task_id, min(at) AS submitted, max(at) AS ended FROM moves GROUP BY task_id
    ) AS l ON l.submitted <= f.at AND l.ended > f.at
    JOIN tasks AS t ON t.id = l.task_id AND t.name = $2 AND t.ended_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, and to which worker, if it was not done to a server."""

    what: str
    worker: str = ""
    at: float = field(default_factory=time.time)


async def recoveries(database: Database, faults: Sequence[Fault]) -> list[float]:
    """How long each task that was hit took, in seconds. Those that are poison do not count."""
    single = [fault for fault in faults if fault.worker]
    general = [fault.at for fault in faults if not fault.worker]
    rows = [
        *await database.answer(
            _UNDER_WORKERS,
            [fault.at for fault in single],
            [fault.worker for fault in single],
            work.name,
        ),
        *await database.answer(_ALL_OPEN, general, work.name),
    ]
    return [row[0] for row in rows]
