"""The SQLite adapters keep the contracts of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from cueline.infrastructure.sql.sqlite.broker import SqliteBroker
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics
from tests.contracts.broker import BrokerContract, a_message, tasks
from tests.contracts.store import StoreContract
from tests.contracts.store_capabilities import NewStore
from tests.doubles import FakeClock


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "cueline.db")
    await store.open()
    yield store
    await store.close()


class TestSqliteStore(StoreContract):
    adapter = SqliteStore

    @pytest.fixture
    def store(self, sqlite: SqliteStore) -> SqliteStore:
        return sqlite

    @pytest.fixture
    async def new_store(self, tmp_path: Path) -> AsyncIterator[NewStore]:
        async with AsyncExitStack() as stack:

            async def new() -> SqliteStore:
                store = SqliteStore(tmp_path / "cueline.db")
                stack.push_async_callback(store.close)
                await store.open()
                return store

            yield new

    @pytest.fixture
    async def session(self, tmp_path: Path) -> AsyncIterator[AsyncSession]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'cueline.db'}")
        async with AsyncSession(engine) as session:
            yield session
        await engine.dispose()


class TestSqliteBroker(BrokerContract):
    adapter = SqliteBroker

    @pytest.fixture
    async def broker(self, sqlite: SqliteStore, clock: FakeClock) -> AsyncIterator[SqliteBroker]:
        async with opened(sqlite, clock) as broker:
            yield broker

    @pytest.fixture
    async def other(self, sqlite: SqliteStore, clock: FakeClock) -> AsyncIterator[SqliteBroker]:
        async with opened(sqlite, clock) as broker:
            yield broker


@asynccontextmanager
async def opened(store: SqliteStore, clock: FakeClock) -> AsyncIterator[SqliteBroker]:
    """A broker that watches the file by itself, as each process has it."""
    broker = SqliteBroker(store, clock, PrometheusMetrics())
    await broker.open()
    yield broker
    await broker.close()


async def test_messages_outlive_every_process_as_is_declared(tmp_path: Path) -> None:
    assert SqliteBroker.capabilities.outlives_server
    message = a_message()
    async with a_process(tmp_path) as broker:
        await broker.publish([message])
    async with a_process(tmp_path) as broker:
        assert tasks(await broker.receive(["default"], 1, 0)) == tasks([message])


@asynccontextmanager
async def a_process(folder: Path) -> AsyncIterator[SqliteBroker]:
    """All that a process has open, while the context lasts."""
    store = SqliteStore(folder / "cueline.db")
    await store.open()
    async with opened(store, FakeClock()) as broker:
        yield broker
    await store.close()
