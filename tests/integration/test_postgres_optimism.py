"""What is said to PostgreSQL in one statement waits for others, and sees what they did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace

import asyncpg
import pytest

from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import Outdated
from cueline.domain.workflow.run import Run, RunState
from cueline.infrastructure.sql.postgres.store import PostgresStore
from tests.contracts.store_suite import get_run, put_run
from tests.factories import a_run

FAILING_WITH_ANOTHER = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE invalid_text_representation USING MESSAGE = 'another fault'; END $$;
    CREATE TRIGGER fail BEFORE UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION fail();
"""
"""What PostgreSQL calls so is not only what an optimistic statement fails with."""


WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def store(postgres_store_url: str) -> AsyncIterator[Store]:
    store = PostgresStore(postgres_store_url)
    await store.open()
    yield store
    await store.close()


async def advance(store: Store, run: Run) -> None:
    async with store.optimistic() as uow:
        await uow.runs.suppose([run])
        await uow.runs.save_many([replace(run, version=run.version + 1)])
        await uow.commit()


async def pause(uow: UnitOfWork, run: Run) -> None:
    await uow.runs.lock_many([run.id])
    await uow.runs.save_many([replace(run, state=RunState.PAUSED, version=run.version + 1)])


async def wait_for_a_lock(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until somebody in this database does."""
    while not await connection.fetchval(WAITING):
        pass


@pytest.mark.parametrize("is_kept", [True, False])
async def test_it_waits_for_whoever_moves_the_run_and_is_outdated_if_that_was_kept(
    store: Store, postgres_store_url: str, *, is_kept: bool
) -> None:
    run = a_run()
    await put_run(store, run)
    watching = await asyncpg.connect(postgres_store_url)
    async with store.write() as uow:
        await pause(uow, run)
        await uow.runs.get_many([run.id])  # so that nothing of it is put off
        advancing = asyncio.create_task(advance(store, run))
        await wait_for_a_lock(watching)
        assert not advancing.done()
        if is_kept:
            await uow.commit()
    with pytest.raises(Outdated) if is_kept else nullcontext():
        await advancing
    await watching.close()
    state = (await get_run(store, run.id)).state
    assert state is (RunState.PAUSED if is_kept else RunState.RUNNING)


async def test_another_fault_of_the_same_kind_is_not_taken_for_outdated(
    store: Store, postgres_store_url: str
) -> None:
    run = a_run()
    await put_run(store, run)
    connection = await asyncpg.connect(postgres_store_url)
    await connection.execute(FAILING_WITH_ANOTHER)
    await connection.close()
    with pytest.raises(asyncpg.InvalidTextRepresentationError, match="another fault"):
        await advance(store, run)
