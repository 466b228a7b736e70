"""What a broker has for as long as one connection lasts."""

from __future__ import annotations

from collections.abc import Sequence

from aiormq import Channel

from cueline.application.ports.broker import Message
from cueline.domain.task import Priority
from cueline.infrastructure.rabbitmq.consuming import Consuming
from cueline.infrastructure.rabbitmq.inbox import Inbox
from cueline.infrastructure.rabbitmq.lanes import Lanes, lanes_of
from cueline.infrastructure.rabbitmq.link import Session
from cueline.infrastructure.rabbitmq.publishing import Publisher


class BrokerSession(Session):
    """A channel to publish on and one to consume on; everything on them waits for the server."""

    def __init__(self, publishing: Channel, consuming: Channel, lanes: Lanes, inbox: Inbox) -> None:
        self._channel = consuming
        self._lanes = lanes
        self.inbox = inbox
        self.consuming = Consuming(consuming, lanes, inbox)
        self._publisher = Publisher(publishing, lanes)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Make messages available."""
        await self._publisher.publish(messages)

    async def depths(self, queue: str) -> dict[Priority, int]:
        """How many messages of a queue wait at the server or are here, by priority."""
        await self._lanes.require([queue])
        return {
            lane.priority: await self._lanes.ready(lane, self._channel) + self.inbox.count(lane)
            for lane in lanes_of(queue)
        }

    async def drop_malformed(self) -> int:
        """Have the server forget what is no message of ours, and answer how many that were."""
        count = self.inbox.malformed
        await self.consuming.acknowledge(self.inbox.drop_malformed())
        return count

    def end(self) -> None:
        self.consuming.end()
