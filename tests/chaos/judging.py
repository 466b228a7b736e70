"""What is wrong with the history of a world, once all in it should have come to its end.

Every check reads what the database kept (`moves`), what the clients were told (`Acknowledged`) and
what the handlers left (`Traces`). None asks Cueline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tests.chaos.app import POISON_ATTEMPTS, work
from tests.chaos.database import Database

Acknowledged: TypeAlias = Mapping[str, str]
"""The ids that clients were given for their keys."""


class Finding(NamedTuple):
    """Something that must never be: of which kind, with which task, and what."""

    kind: str
    task: str
    what: str


LOST, TWICE, STALE, WRONG = KINDS = ("lost", "twice", "stale", "wrong")


@dataclass(slots=True)
class Traces:
    """What handlers left: how often each attempt at each task was begun, and ended by itself."""

    begun: Counter[tuple[str, int]] = field(default_factory=Counter)
    ended: Counter[tuple[str, int]] = field(default_factory=Counter)

    @classmethod
    def read(cls, folder: Path) -> Traces:
        """The traces of all workers of a world."""
        traces = cls()
        for file in folder.glob("*.trace"):
            for line in file.read_text().splitlines():
                what, task, attempt = line.split()
                counter = traces.begun if what == "begin" else traces.ended
                counter[task, int(attempt)] += 1
        return traces

    def executed_again(self, tasks: set[str]) -> int:
        """How many executions of these tasks were not their first."""
        executed = Counter[str]()
        for (task, _), count in self.begun.items():
            if task in tasks:
                executed[task] += count
        return executed.total() - len(executed)


# --- by the moves ---------------------------------------------------------------------------------

APPLIED_TWICE = """
    SELECT task_id, 'attempt ' || attempt || ' has ' || count(*) || ' outcomes' FROM moves
    WHERE was IS NOT NULL AND state <> 'running'
    GROUP BY task_id, attempt HAVING count(*) > 1
    UNION ALL
    SELECT task_id, 'it ended ' || count(*) || ' times' FROM moves
    WHERE state IN ('succeeded', 'failed', 'cancelled')
    GROUP BY task_id HAVING count(*) > 1
"""

STALE_ACCEPTED = """
    SELECT task_id, 'version ' || was_version || ' was replaced by ' || version
        || ', attempt ' || was_attempt || ' by ' || attempt || ', ' || was || ' by ' || state
    FROM moves
    WHERE was IS NOT NULL AND (
        version <> was_version + 1
        OR state <> 'running' AND (was <> 'running' OR attempt <> was_attempt)
        OR state <> 'running' AND worker <> was_worker
        OR state = 'running' AND (was <> 'queued' OR attempt <> was_attempt + 1)
    )
"""
"""Every write has to replace the version that it read: a claim of a queued task, an outcome of the
attempt that was running, by the worker that ran it."""

UNFAITHFUL = """
    SELECT t.id, 'version ' || t.version || ', attempt ' || t.attempt || ', failures '
        || t.failures || ', but ' || coalesce(a.kept, 0) || ' attempts kept, '
        || coalesce(a.failed, 0) || ' of them failed'
    FROM tasks AS t LEFT JOIN (
        SELECT task_id, count(*) AS kept, count(*) FILTER (WHERE outcome = 'failed') AS failed
        FROM attempts GROUP BY task_id
    ) AS a ON a.task_id = t.id
    WHERE t.state IN ('succeeded', 'failed') AND (
        t.version <> 1 + 2 * t.attempt
        OR coalesce(a.kept, 0) <> t.attempt - (t.state = 'succeeded')::int
        OR coalesce(a.failed, 0) <> t.failures
    )
"""
"""The attempts that are kept must lead to the row: a claim and an outcome for each."""


async def judge(
    database: Database, acknowledged: Acknowledged, traces: Traces
) -> tuple[list[Finding], int]:
    """All that is wrong, and how many tasks were executed again, which may be."""
    rows = await database.answer("SELECT id, key, name, state, attempt, failures FROM tasks")
    findings = [
        *_lost(rows, acknowledged),
        *[Finding(TWICE, *row) for row in await database.answer(APPLIED_TWICE)],
        *[Finding(STALE, *row) for row in await database.answer(STALE_ACCEPTED)],
        *[Finding(WRONG, *row) for row in await database.answer(UNFAITHFUL)],
        *_ended_wrongly(rows),
        *_executed_wrongly(rows, traces),
    ]
    again = traces.executed_again({row["id"] for row in rows if row["name"] == work.name})
    return findings, again


# --- by what clients were told, and by what handlers left -----------------------------------------


def _lost(rows: Sequence[Any], acknowledged: Acknowledged) -> Iterator[Finding]:
    by_key = {row["key"]: row for row in rows}
    for key, id in acknowledged.items():
        row = by_key.get(key)
        if row is None or row["id"] != id:
            stored = "no row" if row is None else f"that is {row['id']}"
            yield Finding(LOST, id, f"{key} was acknowledged and has {stored}")
        elif row["state"] in ("queued", "running"):
            yield Finding(LOST, id, f"{key} was acknowledged and is {row['state']} in the end")


def _ended_wrongly(rows: Sequence[Any]) -> Iterator[Finding]:
    """What works must have succeeded; what kills must have failed, for all its attempts."""
    for row in rows:
        state, failures = row["state"], row["failures"]
        wanted = ("succeeded",) if row["name"] == work.name else ("failed",)
        if state not in ("queued", "running", *wanted):
            yield Finding(WRONG, row["id"], f"{row['name']} {state} after {failures} failures")
        elif state == "failed" and failures != POISON_ATTEMPTS:
            yield Finding(WRONG, row["id"], f"{row['name']} failed after {failures} failures")


def _executed_wrongly(rows: Sequence[Any], traces: Traces) -> Iterator[Finding]:
    """An attempt is one call at most, and who succeeded was called."""
    for (task, attempt), count in traces.begun.items():
        if count > 1:
            yield Finding(TWICE, task, f"attempt {attempt} was begun {count} times")
    for row in rows:
        if row["state"] == "succeeded" and not traces.ended[row["id"], row["attempt"]]:
            attempt = row["attempt"]
            yield Finding(WRONG, row["id"], f"attempt {attempt} succeeded and left no trace")
