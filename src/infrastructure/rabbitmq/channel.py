"""A channel for events on RabbitMQ."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from aio_pika.abc import AbstractConnection
from aiormq import Channel as AmqpChannel
from aiormq.abc import DeliveredMessage
from pamqp.common import FieldValue

from cueline.application.ports.capabilities import Reach
from cueline.infrastructure.events.channel import Channel
from cueline.infrastructure.rabbitmq.link import Link, Session, open_channel

# A reader that is too slow for the events loses the oldest; the server shall not keep them for it.
_LIMITS: dict[str, FieldValue] = {"x-max-length": 10_000, "x-max-length-bytes": 32 * 1024 * 1024}


class RabbitChannel(Channel):
    """A fanout exchange, and for each process a queue of its own that goes with its connection."""

    reach: ClassVar[Reach] = Reach.NETWORK
    largest: ClassVar[int] = 1_000_000

    def __init__(self, url: str, namespace: str) -> None:
        self._exchange = f"{namespace}.events"
        self._link = Link(url, f"{namespace} events", self._begin)
        self._receive: Callable[[bytes], None] = _ignore

    async def open(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def send(self, payload: bytes) -> None:
        await self._link.ask(lambda session: session.send(payload))

    async def _begin(
        self, connection: AbstractConnection, lost: Callable[[], None]
    ) -> _EventsSession:
        channel = await open_channel(connection, lost, confirms=False)
        await channel.exchange_declare(self._exchange, exchange_type="fanout", durable=True)
        queue = await channel.queue_declare(exclusive=True, auto_delete=True, arguments=_LIMITS)
        name = queue.queue or ""
        await channel.queue_bind(name, self._exchange)
        channel.on_consumer_cancel_callbacks.add(lambda _: lost())
        await channel.basic_consume(name, self._arrived, no_ack=True)
        return _EventsSession(channel, self._exchange)

    async def _arrived(self, delivered: DeliveredMessage) -> None:
        self._receive(delivered.body)


class _EventsSession(Session):
    def __init__(self, channel: AmqpChannel, exchange: str) -> None:
        self._channel = channel
        self._exchange = exchange

    async def send(self, payload: bytes) -> None:
        await self._channel.basic_publish(payload, exchange=self._exchange, wait=False)

    def end(self) -> None:
        """Nobody waits."""


def _ignore(_payload: bytes) -> None:
    """Take what arrives before anybody listens."""
