"""Events by way of Redis."""

from __future__ import annotations

import pytest

from cueline.infrastructure.redis.channel import RedisChannel
from tests.contracts.event_bus import NewChannel, SharedBusContract


@pytest.fixture
def new_channel(redis_url: str, namespace: str) -> NewChannel:
    async def new() -> RedisChannel:
        return RedisChannel(redis_url, namespace)

    return new


class TestRedisEvents(SharedBusContract):
    """The contract is kept over publish and subscribe."""

    adapter = RedisChannel
