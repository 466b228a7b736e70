"""Events by way of RabbitMQ."""

from __future__ import annotations

import pytest

from cueline.infrastructure.rabbitmq.channel import RabbitChannel
from tests.contracts.event_bus import NewChannel, SharedBusContract


@pytest.fixture
def new_channel(rabbitmq_url: str, namespace: str) -> NewChannel:
    async def new() -> RabbitChannel:
        return RabbitChannel(rabbitmq_url, namespace)

    return new


class TestRabbitEvents(SharedBusContract):
    """The contract is kept over a fanout exchange."""

    adapter = RabbitChannel
