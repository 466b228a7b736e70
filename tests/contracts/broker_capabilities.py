"""What a broker declares that it can do is what it does."""

from __future__ import annotations

from typing import ClassVar

import pytest

from cueline.application.ports.broker import Broker, Message
from cueline.application.ports.capabilities import Reach
from cueline.domain.task import Priority
from tests.factories import a_task_id


class BrokerCapabilitiesContract:
    """A part of `BrokerContract`: an adapter names itself, and provides the fixture `other`."""

    adapter: ClassVar[type[Broker]]

    @pytest.fixture
    def other(self) -> Broker:
        """One more broker on the same place, as another process has it."""
        raise NotImplementedError

    def test_the_suite_tries_the_adapter_that_it_names(self, broker: Broker) -> None:
        assert type(broker) is self.adapter

    async def test_it_reaches_other_processes_if_it_says_so(
        self, broker: Broker, other: Broker
    ) -> None:
        reaches = broker.capabilities.reach > Reach.PROCESS
        message = Message(a_task_id(), "default", Priority.NORMAL)
        await broker.publish([message])
        received = await other.receive(["default"], 1, 10 if reaches else 0)
        assert [delivery.message for delivery in received] == [message] * reaches
