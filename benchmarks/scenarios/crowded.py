"""The drain again, with a great many tasks queued behind it, or finished before it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from benchmarks.scenario import Bench, Figure, Figures, Scenario, Which
from benchmarks.scenarios.drain import drained, worked_off
from benchmarks.servers import ask, execute
from benchmarks.subject import Failed

AT_ONCE = 1_000_000
"""How many rows one statement writes."""

COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = 'tasks' AND column_name <> 'id'
"""
COPY = """
    INSERT INTO tasks (id, {columns})
    SELECT '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), {columns}
    FROM generate_series({first}, {last}) AS n,
         (SELECT {columns} FROM tasks
          WHERE id = (SELECT max(id) FROM tasks WHERE state = 'succeeded')) AS model
"""
"""Copies of a task that was really done, under ids that are older than any made today. An attempt
that succeeded is kept in its task, so that there is nothing else to be copied."""


def _backlog(bench: Bench) -> Figures:
    count = bench.scale.tasks
    before = drained(bench, count).rate
    queued = count + bench.scale.queued
    ledger = bench.subject.prepare(queued)
    bench.subject.fill(queued)
    full = worked_off(bench, ledger, count).rate
    return _compared("backlog", full, before, drained(bench, count).rate)


def _history(bench: Bench) -> Figures:
    count = bench.scale.tasks
    before = drained(bench, count).rate
    execute(bench.subject.store_url, list(_filling(bench)))
    _check(bench)
    ledger = bench.subject.begin(count)
    bench.subject.fill(count)
    full = worked_off(bench, ledger, count).rate
    return _compared("history", full, before, drained(bench, count).rate)


def _compared(name: str, full: float, *empty: float) -> Figures:
    """A rate and what it is of those in an empty database, before and after: machines wander."""
    without = fmean(empty)
    return {f"{name}_empty": without, name: full, f"{name}_share": full / without * 100}


def _filling(bench: Bench) -> Iterator[str]:
    columns = ask(bench.subject.store_url, COLUMNS)
    for first in range(0, bench.scale.finished, AT_ONCE):
        last = min(first + AT_ONCE, bench.scale.finished) - 1
        yield COPY.format(columns=columns, first=first, last=last)
    yield "VACUUM (ANALYZE)"  # as autovacuum would, in the time that these rows stand for
    yield "CHECKPOINT"  # what is still to be written must not be written while we measure


def _check(bench: Bench) -> None:
    rows = ask(bench.subject.store_url, "SELECT count(*) FROM tasks")
    if rows < bench.scale.finished:
        raise Failed(f"the history should have {bench.scale.finished} tasks, and has {rows}")


BACKLOG = Scenario(
    "backlog",
    "the drain by one process with 1,000,000 tasks more queued behind it (unless told otherwise), "
    "and in the empty database",
    (
        Figure("backlog", "with the backlog", "tasks/s"),
        Figure("backlog_empty", "without", "tasks/s"),
        Figure("backlog_share", "share", "%"),
    ),
    _backlog,
    of=Which.MANY_PROCESSES,
    is_large=True,
)

HISTORY = Scenario(
    "history",
    "the drain by one process with 10,000,000 finished tasks in the database (unless told "
    "otherwise), and in the empty one",
    (
        Figure("history", "with the history", "tasks/s"),
        Figure("history_empty", "without", "tasks/s"),
        Figure("history_share", "share", "%"),
    ),
    _history,
    of=Which.POSTGRES,
    is_large=True,
)
