"""What a task costs PostgreSQL: what is written for it, and what has to be cleaned up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from benchmarks.scenario import Bench, Figure, Figures, Scenario, Which
from benchmarks.scenarios.drain import worked_off
from benchmarks.servers import ask, execute

COUNTED = 1.5
"""After so many seconds the server's statistics tell of all that has been done."""

WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"
COMMITS = "SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()"
WRITTEN = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 FROM pg_stat_user_tables"
TASKS = "SELECT {}::float8 FROM pg_stat_user_tables WHERE relname = 'tasks'"
TABLE = "SELECT pg_table_size('tasks')::float8"
INDEXES = "SELECT pg_indexes_size('tasks')::float8"


def _cost(bench: Bench) -> Figures:
    count, url = bench.scale.tasks, bench.subject.store_url
    ledger = bench.subject.prepare(count)
    commits, written, wal = _ask(url, COMMITS), _ask(url, WRITTEN), _ask(url, WAL)
    bench.subject.fill(count)
    worked_off(bench, ledger, count)
    wal = _ask(url, WAL) - wal
    time.sleep(COUNTED)
    return {
        "cost_wal": wal / count,
        "cost_rows": (_ask(url, WRITTEN) - written) / count,
        "cost_commits": (_ask(url, COMMITS) - commits) / count * 1000,
        "cost_table": _ask(url, TABLE) / count,
        "cost_indexes": _ask(url, INDEXES) / count,
    }


def _dead_rows(bench: Bench) -> Figures:
    count, url = bench.scale.tasks, bench.subject.store_url
    ledger = bench.subject.prepare(count)
    execute(url, ["ALTER TABLE tasks SET (autovacuum_enabled = off)"])  # what is left is counted
    bench.subject.fill(count)
    alone = worked_off(bench, ledger, count).rate
    time.sleep(COUNTED)
    dead = _ask(url, TASKS.format("n_dead_tup")) / count
    hot = _ask(url, TASKS.format("n_tup_hot_upd")) / _ask(url, TASKS.format("n_tup_upd")) * 100
    began = time.monotonic()
    execute(url, ["VACUUM tasks"])
    vacuum = time.monotonic() - began
    held = _beside_a_long_transaction(bench)
    return {
        "dead_rows": dead,
        "dead_hot": hot,
        "dead_vacuum": vacuum / count * 1e6,
        "dead_held": held,
        "dead_share": held / alone * 100,
    }


def _beside_a_long_transaction(bench: Bench) -> float:
    """The rate of the same drain while somebody else's transaction keeps every dead row."""
    count = bench.scale.tasks
    ledger = bench.subject.prepare(count)
    with _held_open(bench.subject.store_url):
        bench.subject.fill(count)
        return worked_off(bench, ledger, count).rate


def _ask(url: str, question: str) -> float:
    return float(ask(url, question))


@contextmanager
def _held_open(url: str) -> Iterator[None]:
    """A transaction that has read something, and is left open."""
    opened, over = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction(isolation="repeatable_read"):
                await connection.fetchval("SELECT count(*) FROM tasks")
                opened.set()
                await asyncio.to_thread(over.wait)
        finally:
            await connection.close()

    holder = threading.Thread(target=asyncio.run, args=[hold()], name="long transaction")
    holder.start()
    try:
        opened.wait()
        yield
    finally:
        over.set()
        holder.join()


COST = Scenario(
    "cost",
    "tasks submitted in bulk and drained by one worker: what PostgreSQL writes for each from its "
    "submit to its end, and the space that the table and its indexes then take",
    (
        Figure("cost_wal", "WAL", "bytes/task", less_is_better=True),
        Figure("cost_rows", "rows written", "/task", less_is_better=True),
        Figure("cost_commits", "commits", "/1,000 tasks", less_is_better=True),
        Figure("cost_table", "table", "bytes/task", less_is_better=True),
        Figure("cost_indexes", "indexes", "bytes/task", less_is_better=True),
    ),
    _cost,
    of=Which.POSTGRES,
)

DEAD_ROWS = Scenario(
    "dead-rows",
    "the same drain without vacuum: the dead rows that it leaves, how many of the updates were "
    "heap-only, how long vacuum takes afterwards; and its rate while another transaction is held "
    "open from the first submit on, so that no dead row may be passed over",
    (
        Figure("dead_rows", "dead rows", "/task", less_is_better=True),
        Figure("dead_hot", "HOT updates", "%"),
        Figure("dead_vacuum", "vacuum", "µs/task", less_is_better=True),
        Figure("dead_held", "transaction held", "tasks/s"),
        Figure("dead_share", "share", "%"),
    ),
    _dead_rows,
    of=Which.POSTGRES,
)
