"""The memory adapters keep the contracts of their ports."""

from __future__ import annotations

import pytest

from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.infrastructure.memory.store import MemoryStore
from tests.contracts.broker import BrokerContract
from tests.contracts.event_bus import EventBusContract
from tests.contracts.store import StoreContract
from tests.doubles import FakeClock


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self, clock: FakeClock) -> MemoryBroker:
        return MemoryBroker(clock)


class TestMemoryEventBus(EventBusContract):
    @pytest.fixture
    def bus(self) -> MemoryEventBus:
        return MemoryEventBus()
