"""The Redis adapters keep the contracts of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cueline.infrastructure.redis.broker import RedisBroker
from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics
from tests.contracts.broker import BrokerContract
from tests.doubles import FakeClock


class TestRedisBroker(BrokerContract):
    adapter = RedisBroker

    @pytest.fixture
    async def broker(
        self, redis_url: str, namespace: str, clock: FakeClock
    ) -> AsyncIterator[RedisBroker]:
        async with opened(redis_url, namespace, clock) as broker:
            yield broker

    @pytest.fixture
    async def other(
        self, redis_url: str, namespace: str, clock: FakeClock
    ) -> AsyncIterator[RedisBroker]:
        async with opened(redis_url, namespace, clock) as broker:
            yield broker


@asynccontextmanager
async def opened(url: str, namespace: str, clock: FakeClock) -> AsyncIterator[RedisBroker]:
    """A broker of a namespace, open for as long as the context is."""
    broker = RedisBroker(url, namespace, clock, PrometheusMetrics())
    await broker.open()
    yield broker
    await broker.close()
