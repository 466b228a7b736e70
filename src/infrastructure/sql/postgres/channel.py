"""Events between processes by way of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from cueline.application.ports.capabilities import Reach
from cueline.infrastructure.events.channel import Channel
from cueline.infrastructure.sql.postgres.listener import (
    LONGEST_PAYLOAD,
    PostgresListener,
    channel_name,
)


class PostgresChannel(Channel):
    """Carries payloads of text (UTF-8 without NUL) as notifications, on the listener's connection.

    Whoever owns the listener opens and closes it.
    """

    reach = Reach.NETWORK
    largest = LONGEST_PAYLOAD

    def __init__(self, listener: PostgresListener, namespace: str) -> None:
        self._listener = listener
        self._name = channel_name(namespace, "events")

    async def open(self, receive: Callable[[bytes], None]) -> None:
        self._listener.listen(self._name, lambda text: receive(text.encode()))

    async def close(self) -> None:
        self._listener.ignore(self._name)

    async def send(self, payload: bytes) -> None:
        await self._listener.notify(self._name, payload.decode())
