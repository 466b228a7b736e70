"""The SQLite adapters keep the contracts of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cueline.infrastructure.sql.broker import SqliteBroker
from cueline.infrastructure.sql.store import SqliteStore
from tests.contracts.broker import BrokerContract
from tests.contracts.store import StoreContract
from tests.doubles import FakeClock


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "cueline.db")
    await store.open()
    yield store
    await store.close()


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, sqlite: SqliteStore) -> SqliteStore:
        return sqlite


class TestSqliteBroker(BrokerContract):
    @pytest.fixture
    async def broker(self, sqlite: SqliteStore, clock: FakeClock) -> AsyncIterator[SqliteBroker]:
        broker = SqliteBroker(sqlite, clock)
        await broker.open()
        yield broker
        await broker.close()
