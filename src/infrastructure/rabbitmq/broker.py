"""A broker on RabbitMQ."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count

from aio_pika.abc import AbstractConnection

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.application.sparing import SparingWarning
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.rabbitmq.consuming import REST_AFTER
from cueline.infrastructure.rabbitmq.inbox import Inbox
from cueline.infrastructure.rabbitmq.lanes import Lanes
from cueline.infrastructure.rabbitmq.link import Link, open_channel
from cueline.infrastructure.rabbitmq.session import BrokerSession

log = logging.getLogger(__name__)

REDELIVERY = timedelta(seconds=30)

MOST_AT_ONCE = 250
"""How many messages are published before their confirmations are waited for."""


class RabbitBroker(Broker):
    """Messages in classic queues of RabbitMQ 3.10 and later, one for each queue and priority.

    What a connection brought is forgotten with it: the server delivers it again, and a tag of an
    earlier connection acknowledges nothing. `depth` cannot see what other processes hold in the few
    milliseconds between their receiving and acknowledging. `wipe` reaches the queues that this
    process has used.
    """

    capabilities = BrokerCapabilities(Reach.NETWORK, outlives_server=False)

    def __init__(
        self,
        url: str,
        namespace: str,
        clock: Clock,
        metrics: Metrics,
        redelivery: timedelta = REDELIVERY,
    ) -> None:
        self._namespace = namespace
        self._clock = clock
        self._metrics = metrics
        self._redelivery = redelivery
        self._link = Link(url, f"{namespace} broker", self._begin)
        self._refused = SparingWarning(log, "messages on RabbitMQ dropped that are none of ours")
        self._epochs = count(1)
        self._queues: set[str] = set()
        self._in_use = asyncio.Event()
        self._tender: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._link.open()
        if self._tender is None:
            self._tender = asyncio.create_task(self._tend_forever(), name="RabbitMQ deliveries")

    async def close(self) -> None:
        tender, self._tender = self._tender, None
        if tender is not None:
            tender.cancel()
            await asyncio.wait([tender])
        await self._link.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), MOST_AT_ONCE):
            await self._publish(messages[start : start + MOST_AT_ONCE])

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        session = self._link.session  # whoever comes while it is closed or away is told so
        wanted = tuple(dict.fromkeys(queues))
        if not wanted or limit <= 0:
            return []
        deadline = asyncio.get_running_loop().time() + wait
        self._in_use.set()
        try:
            while True:
                session = self._link.session
                with session.consuming.wanting(wanted):
                    await self._attend(session, wanted, limit, completely=wait <= 0)
                    await session.consuming.gather(wanted, limit)
                    now = self._clock.now()
                    session.consuming.bring_back(now)
                    taken = session.inbox.take(wanted, limit, now + self._redelivery)
                    left = deadline - asyncio.get_running_loop().time()
                    if taken or left <= 0:
                        return taken
                    if session.consuming.attends(wanted, limit):  # it may have ended meanwhile
                        await session.consuming.arrival(wanted, left)
        except Unavailable:
            if self._link.is_open:
                raise
            return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        with suppress(Unavailable):  # away: what was delivered went with the connection
            session = self._link.session
            answers = session.inbox.acknowledge(delivery.tag for delivery in deliveries)
            if answers:
                await self._link.ask(lambda session: session.consuming.acknowledge(answers))

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        return await self._link.ask(lambda session: session.depths(queue))

    async def wipe(self) -> None:
        await self._link.ask(lambda session: session.consuming.wipe())

    async def _publish(self, batch: Sequence[Message]) -> None:
        await self._link.ask(lambda session: session.publish(batch))

    async def _attend(
        self, session: BrokerSession, queues: Sequence[str], limit: int, *, completely: bool
    ) -> None:
        """See to it that the server sends what is wanted, and that what was sent is believable."""
        if completely or not session.consuming.attends(queues, limit):
            await self._link.ask(
                lambda session: session.consuming.attend(queues, limit, completely=completely)
            )
        if session.inbox.malformed:
            dropped = await self._link.ask(lambda session: session.drop_malformed())
            self._refused.count(dropped)
            self._metrics.hints_refused("malformed", dropped)

    async def _begin(
        self, connection: AbstractConnection, lost: Callable[[], None]
    ) -> BrokerSession:
        return BrokerSession(
            await open_channel(connection, lost, confirms=True),
            await open_channel(connection, lost, confirms=False),
            Lanes(connection, self._namespace, self._queues),
            Inbox(next(self._epochs)),
        )

    async def _tend_forever(self) -> None:
        """Bring back what is not acknowledged, and let nothing lie here that nobody wants."""
        while True:
            await self._in_use.wait()
            await asyncio.sleep(REST_AFTER)
            with suppress(Unavailable):
                session = self._link.session
                session.consuming.bring_back(self._clock.now())
                await self._link.ask(lambda session: session.consuming.rest())
                if session.consuming.is_resting and not session.inbox:
                    self._in_use.clear()
