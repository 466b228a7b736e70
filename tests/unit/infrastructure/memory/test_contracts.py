"""The memory adapters keep the contracts of their ports."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.infrastructure.memory.store import MemoryStore
from tests.contracts.broker import BrokerContract
from tests.contracts.event_bus import EventBusContract
from tests.contracts.store import StoreContract
from tests.contracts.store_capabilities import NewStore
from tests.doubles import FakeClock


class TestMemoryStore(StoreContract):
    adapter = MemoryStore

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def new_store(self) -> NewStore:
        async def new() -> MemoryStore:
            return MemoryStore()

        return new

    @pytest.fixture
    def session(self) -> AsyncSession:
        return AsyncSession()


class TestMemoryBroker(BrokerContract):
    adapter = MemoryBroker

    @pytest.fixture
    def broker(self, clock: FakeClock) -> MemoryBroker:
        return MemoryBroker(clock)

    @pytest.fixture
    def other(self, clock: FakeClock) -> MemoryBroker:
        return MemoryBroker(clock)


class TestMemoryEventBus(EventBusContract):
    adapter = MemoryEventBus

    @pytest.fixture
    def bus(self) -> MemoryEventBus:
        return MemoryEventBus()
