"""The statements of the hot path find their rows by an index, however much history there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from cueline.domain.task import Priority
from cueline.infrastructure.sql import broker, run_statements, task_statements
from cueline.infrastructure.sql.among import these
from cueline.infrastructure.sql.batches import Batch
from cueline.infrastructure.sql.postgres.store import ROW_BY_ROW
from cueline.infrastructure.sql.queries import Query

ENDED, QUEUED, RUNNING = 20_000, 5_000, 50

FILL = """
    INSERT INTO tasks (id, name, queue, priority, input, created_at, retry, state, version, run_at,
                       dispatch_at, dispatches, attempt, failures, worker_id)
    SELECT gen_random_uuid()::text, 'send', 'q' || n % 20, n % 4, '{}', n, '{}', $1::text, 1, n,
           CASE WHEN $1 = 'queued' THEN n END, 0, 0, 0, CASE WHEN $1 <> 'queued' THEN 'gone' END
    FROM generate_series(1, $2::int) AS n
"""

MANY = [f"00000000-0000-7000-8000-{number:012}" for number in range(50)]
NOW, LIMIT = 10**9, 100
PARAMETERS: Mapping[str, Any] = {
    **these(MANY),
    "the_moment": NOW,
    "the_beginning": 0,
    **dict.fromkeys(task_statements.SINCE_OF.values(), 0),
    "the_limit": LIMIT,
    "the_queue": "q7",
    "the_queues": ["q7", "q8"],
    "the_names": ["task"],
    "the_worker": "w",
    "the_urgency": 3,
    "until": NOW,
    "the_horizon": NOW,
}

READING = {
    "due queues": task_statements.DUE_QUEUES,
    "next due": task_statements.NEXT_DUE,
    "orphans": task_statements.ORPHANS,
    "by ids": task_statements.BY_IDS,
    "by keys": task_statements.BY_KEYS,
    "versions": task_statements.VERSIONS,
}
WRITING = {
    "due": task_statements.DUE,
    "claim": task_statements.CLAIM,
    "claim due": task_statements.CLAIM_DUE,
    "put back": task_statements.PUT_BACK,
    "set due": task_statements.SET_DUE,
    "by ids": task_statements.BY_IDS,
    "lock runs": run_statements.LOCK,
    "take": broker._TAKE,
}
_SAVED = ("queued", 2, 1, 1, 0, 0, 0, None, None, None, None, None)
BATCHES = {
    "save": (task_statements.SAVE, _SAVED),
    "set dispatched": (task_statements.SET_DISPATCHED, (NOW,)),
}
"""Each with the values that come before the id."""


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(params=["before it was analyzed", "analyzed"])
async def history(request: pytest.FixtureRequest, postgres_store_url: str) -> str:
    """The URL of a database with much history, and a backlog."""
    async with connected(postgres_store_url) as connection:
        await connection.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
        for state, count in (("succeeded", ENDED), ("queued", QUEUED), ("running", RUNNING)):
            await connection.execute(FILL, state, count)
        await connection.execute(
            "INSERT INTO queue_names SELECT 'q' || n FROM generate_series(0, 19) AS n"
        )
        if request.param == "analyzed":
            await connection.execute("ANALYZE")
    return postgres_store_url


async def plan(
    connection: asyncpg.Connection[asyncpg.Record], statement: str, values: list[Any]
) -> str:
    rows = await connection.fetch(f"EXPLAIN (COSTS OFF) {statement}", *values)
    return "\n".join(row[0] for row in rows)


def compiled(query: Query) -> tuple[str, list[Any]]:
    text, names = query.postgres
    return text, [PARAMETERS[name] for name in names]


def batch(batch: Batch, values: tuple[Any, ...], *, alike: bool) -> tuple[str, list[Any]]:
    last = (NOW,) if batch.names[-1] == "later_than" else (1,)
    rows = [(*values, id, *last) for id in MANY]
    if not alike:
        rows[0] = (*(None for _ in values), MANY[0], *(None for _ in last))
    statement, parameters = batch.postgres(rows)
    columns = statement.count("[]") + statement.count("string_to_array(")
    assert columns == (1 if alike else sum(map(differs, zip(*rows, strict=True))))
    return statement, list(parameters)


def differs(column: tuple[Any, ...]) -> bool:
    return len(set(column)) > 1


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_reader_goes_through_all_tasks(history: str, mode: str) -> None:
    async with connected(history, plan_cache_mode=mode) as connection:
        plans = {name: await plan(connection, *compiled(each)) for name, each in READING.items()}
    assert {name: text for name, text in plans.items() if "Seq Scan on tasks" in text} == {}
    # nor through the whole backlog: for each priority, queue by queue
    looked_up = "(queue = (queue_names.name)::text) AND (priority = "
    for name in ("due queues", "next due"):
        assert plans[name].count("Scan using tasks_due") == len(Priority)
        assert plans[name].count(looked_up) == len(Priority)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_writers_find_row_by_row_in_the_order_given(
    history: str, mode: str, *, alike: bool
) -> None:
    async with connected(history, **{**ROW_BY_ROW, "plan_cache_mode": mode}) as connection:
        plans = {name: await plan(connection, *compiled(each)) for name, each in WRITING.items()}
        many = {
            name: await plan(connection, *batch(*each, alike=alike))
            for name, each in BATCHES.items()
        }
    for text in many.values():
        assert text.index("Function Scan on") < text.index("Index Scan using tasks_pkey")
        assert text.count("using tasks_pkey") == text.count("Index Cond: ((id)::text = ")
    for way in ("Seq Scan", "Bitmap", "Hash Join", "Merge Join"):
        assert {name: text for name, text in (plans | many).items() if way in text} == {}
