"""What a later version has written in a way unknown here does not stop the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from cueline.application.ports.persistence import Store
from cueline.domain.task import LONGEST_RECOVERY, Origin, Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.messages import Begin
from cueline.domain.workflow.run import Run
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.sql.unit_of_work import SqlUnitOfWork
from tests.contracts.store_suite import hired, put, put_run
from tests.doubles import NOW
from tests.factories import a_claimant, a_run, a_task, a_worker


class Unreadable:
    @pytest.mark.parametrize("way", ["by their ids", "as they are due"])
    async def test_what_cannot_be_read_is_put_off_and_the_rest_is_claimed(
        self, store: Store, caplog: pytest.LogCaptureFixture, way: str
    ) -> None:
        [worker] = await hired(store, a_worker())
        strange, plain = a_task(run_at=NOW - timedelta(seconds=1)), a_task()
        await put(store, strange, plain)
        async with store.write() as uow:
            assert isinstance(uow, SqlUnitOfWork)
            await uow.session.execute(
                text('UPDATE tasks SET retry = \'{"backoff": "fibonacci"}\' WHERE id = :id'),
                {"id": strange.id},
            )
            await uow.commit()

        async def claim() -> list[Task]:
            async with store.at_once() as uow:
                claimed = (
                    await uow.tasks.claim_many([strange.id, plain.id], a_claimant(worker), NOW)
                    if way == "by their ids"
                    else (await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9)).claimed
                )
                await uow.commit()
            return claimed

        assert await claim() == [plain.claim(worker.id, NOW)]
        assert f"this version cannot read: {strange.id}" in caplog.text
        async with store.write() as uow:
            assert await uow.tasks.held_by(worker.id) == {plain.id: 2}
            assert await uow.tasks.versions([strange.id]) == {strange.id: 3}
            assert await uow.tasks.due("default", NOW, 9) == []
            [due] = await uow.tasks.due("default", NOW + LONGEST_RECOVERY, 9)
        assert due.id == strange.id

    async def test_a_step_is_claimed_although_its_run_cannot_be_read(self, store: Store) -> None:
        [worker] = await hired(store, a_worker())
        strange, plain = await begun(store), await begun(store)
        async with store.write() as uow:
            assert isinstance(uow, SqlUnitOfWork)
            await uow.session.execute(
                text("UPDATE runs SET state = 'suspended' WHERE id = :id"), {"id": strange.id}
            )
            await uow.commit()
        claimed, runs = await claim_all(store, worker)
        assert len(claimed) == 2
        assert runs == [plain]

    async def test_a_step_is_claimed_although_its_workflow_is_not_known_here(
        self, store: Store, other: Store
    ) -> None:
        [worker] = await hired(store, a_worker())
        run = await begun(store)
        claimed, runs = await claim_all(other, worker)
        assert len(claimed) == 1
        assert runs == []
        async with other.read() as uow:
            assert await uow.runs.get_many([run.id]) == [run]


async def begun(store: Store) -> Run:
    """A run whose only step has been started."""
    run = advance(a_run(), Begin(), NOW).run
    await put_run(store, run)
    await put(store, a_task(origin=Origin(run.id, "first")))
    return run


async def claim_all(store: Store, worker: Worker) -> tuple[list[Task], list[Run]]:
    """Claim what is due; the tasks, and the runs that came along."""
    async with store.at_once() as uow:
        taken = await uow.tasks.claim_due("default", a_claimant(worker), NOW, 9)
        runs = await uow.runs.of_claimed(taken.claimed)
        await uow.commit()
    return taken.claimed, runs


class TestOnSqlite(Unreadable):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        async with opened(SqliteStore(tmp_path / "cueline.db")) as store:
            yield store

    @pytest.fixture
    async def other(self, tmp_path: Path, store: Store) -> AsyncIterator[Store]:
        async with opened(SqliteStore(tmp_path / "cueline.db")) as other:
            yield other


class TestOnPostgres(Unreadable):
    @pytest.fixture
    async def store(self, postgres_store_url: str) -> AsyncIterator[Store]:
        async with opened(PostgresStore(postgres_store_url)) as store:
            yield store

    @pytest.fixture
    async def other(self, postgres_store_url: str, store: Store) -> AsyncIterator[Store]:
        async with opened(PostgresStore(postgres_store_url)) as other:
            yield other


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()
