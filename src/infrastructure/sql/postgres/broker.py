"""A broker in the database of a PostgreSQL store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.broker import REDELIVERY, SqlBroker, Watch
from cueline.infrastructure.sql.postgres.listener import PostgresListener
from cueline.infrastructure.sql.postgres.store import PostgresStore

CHANNEL = "cueline_messages"

NOTIFY_INTERVAL = 0.01
"""How long after a notification the next one is sent at the earliest, in seconds."""


class PostgresBroker(SqlBroker):
    """Messages in an unlogged table: nothing of them is written ahead, and a crash empties it.

    Receivers in other processes are woken by a notification; one that is lost costs them a second.
    """

    capabilities = BrokerCapabilities(Reach.NETWORK, outlives_server=False)
    asks_first = False

    def __init__(
        self,
        store: PostgresStore,
        listener: PostgresListener,
        clock: Clock,
        metrics: Metrics,
        redelivery: timedelta = REDELIVERY,
    ) -> None:
        super().__init__(store, clock, metrics, Notifications(listener), redelivery)


class Notifications(Watch):
    """Hears of publishes elsewhere by LISTEN, and tells of those here by NOTIFY.

    NOTIFY takes a lock of the whole server until its transaction commits. So it has a transaction
    of its own, and there is one in `NOTIFY_INTERVAL` at most, however much is published.
    """

    def __init__(self, listener: PostgresListener) -> None:
        self._listener = listener
        self._version = 0
        self._listening = False
        self._moved = asyncio.Event()
        self._unsaid = asyncio.Event()
        self._saying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._saying = asyncio.create_task(self._say_forever(), name="broker-notifications")

    async def close(self) -> None:
        self._listener.ignore(CHANNEL)
        self._listening = False
        saying, self._saying = self._saying, None
        if saying is not None:
            saying.cancel()
            with suppress(asyncio.CancelledError):
                await saying

    def version(self) -> int:
        return self._version

    async def changed(self, since: int) -> None:
        if self._saying is not None and not self._listening:  # who only publishes is not woken
            self._listening = True
            self._listener.listen(CHANNEL, lambda _: self._heard(), self._heard)
        while self._version == since:
            await self._moved.wait()

    def published(self) -> None:
        self._unsaid.set()

    def _heard(self) -> None:
        self._version += 1
        self._moved.set()  # whoever waits is woken, and whoever comes next waits anew
        self._moved.clear()

    async def _say_forever(self) -> None:
        while True:
            await self._unsaid.wait()
            self._unsaid.clear()
            # A receiver that is not told looks by itself within a second.
            with suppress(Unavailable):
                await self._listener.notify(CHANNEL, "")
            await asyncio.sleep(NOTIFY_INTERVAL)
