"""Publishing hints, each confirmed by the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aio_pika.exceptions import PublishError
from aiormq import Channel

from cueline.application.ports.broker import Message
from cueline.domain.errors import Unavailable
from cueline.infrastructure.hints import encode
from cueline.infrastructure.rabbitmq.lanes import Lane, Lanes


class Publisher:
    """Publishes on one channel, which confirms, and returns what has no queue to go to."""

    def __init__(self, channel: Channel, lanes: Lanes) -> None:
        self._channel = channel
        self._lanes = lanes

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish, and wait for the confirmations.

        What is returned has lost its queue: the queue is declared again, and it is sent once more.
        """
        queues = {message.queue for message in messages}
        await self._lanes.require(queues)
        returned = await self._send(messages)
        if not returned:
            return
        self._lanes.forget(queues)
        await self._lanes.require(queues)
        if await self._send(returned):
            raise Unavailable("the broker", "its queues are deleted as fast as they are declared")

    async def _send(self, messages: Sequence[Message]) -> list[Message]:
        """Publish and answer what was returned."""
        answers = await asyncio.gather(
            *(
                self._channel.basic_publish(
                    encode(message),  # not persistent: nobody waits for a disk on behalf of a hint
                    routing_key=self._lanes.name(Lane(message.queue, message.priority)),
                    mandatory=True,
                    wait=False,  # for the socket; the confirmation is waited for
                )
                for message in messages
            ),
            return_exceptions=True,
        )
        returned = []
        for message, answer in zip(messages, answers, strict=True):
            if isinstance(answer, PublishError):
                returned.append(message)
            elif isinstance(answer, BaseException):
                raise answer
        return returned
