"""A process that is frozen within a transaction does not keep its locks for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from cueline.infrastructure.sql.postgres.connecting import postgres_engine
from cueline.infrastructure.sql.postgres.lines import Lines
from cueline.infrastructure.sql.postgres.stalled import APPLICATION, end_stalled
from tests.chaos.database import AWAY

NOT_LONG = timedelta(milliseconds=50)

pytestmark = pytest.mark.server


@pytest.fixture
async def frozen(postgres_store_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A session of ours that has locked something, and begun a statement which it never ends."""
    connection = await asyncpg.connect(
        postgres_store_url, server_settings={"application_name": APPLICATION}
    )
    await connection.execute("BEGIN; LOCK TABLE workers IN ACCESS EXCLUSIVE MODE")
    await connection.prepare("SELECT 1")
    yield connection
    connection.terminate()


async def test_a_transaction_that_waits_for_its_process_is_ended(
    postgres_store_url: str, frozen: asyncpg.Connection[asyncpg.Record]
) -> None:
    lines = Lines(postgres_engine(postgres_store_url, 2), 2)
    async with asyncio.timeout(20):
        while not await end_stalled(lines, NOT_LONG):  # noqa: ASYNC110  # the server has no event
            await asyncio.sleep(0.01)
        async with lines.line() as line:
            await line.driver.fetch("SELECT count(*) FROM workers")
    await lines.close()
    with pytest.raises(AWAY):
        await frozen.execute("SELECT 1")


async def test_transactions_of_others_and_those_at_work_are_left_alone(
    postgres_store_url: str,
) -> None:
    lines = Lines(postgres_engine(postgres_store_url, 2), 2)
    other = await asyncpg.connect(postgres_store_url)
    await other.execute("BEGIN; SELECT 1")
    async with lines.line() as ours:
        sleeping = asyncio.create_task(ours.driver.execute("BEGIN; SELECT pg_sleep(0.5); COMMIT"))
        await asyncio.sleep(0.2)
        assert await end_stalled(lines, NOT_LONG) == 0
        await sleeping
    await other.execute("COMMIT")
    await other.close()
    await lines.close()
