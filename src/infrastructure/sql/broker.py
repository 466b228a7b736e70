"""A broker on the store itself, for those who want no other server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import ClassVar, Protocol

from sqlalchemy import (
    BigInteger,
    Delete,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.application.sparing import SparingWarning
from cueline.domain.task import Priority
from cueline.infrastructure.hints import MalformedHint, checked
from cueline.infrastructure.sql.among import among, these
from cueline.infrastructure.sql.batches import ChangeBatch, Given, InsertBatch
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.tables import messages
from cueline.infrastructure.sql.types import to_microseconds

log = logging.getLogger(__name__)

REDELIVERY = timedelta(seconds=30)

HORIZON = 10
"""What is held for longer than so many times the redelivery is not held by one of ours."""

LONGEST_NAP = 1.0
"""How long a receiver sleeps before it looks for messages that are due again, in seconds."""

_PUBLISH = InsertBatch(messages, ("task_id", "queue", "priority"), key="task_id")

_MOMENT = bindparam("the_moment", type_=BigInteger)
_available = (
    among(messages.c.queue),
    or_(
        messages.c.taken_until.is_(None),
        messages.c.taken_until <= _MOMENT,
        messages.c.taken_until > bindparam("the_horizon", type_=BigInteger),
    ),
)

_ANYTHING = Query(select(exists().where(*_available)))

# Materialized: were the planner free to look twice, it could lock more than the limit.
_next = (
    select(messages.c.id)
    .where(*_available)
    .order_by(messages.c.priority, messages.c.id)
    .limit(bindparam("the_limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("next_messages")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)

_TAKE = Query(
    update(messages)
    .where(messages.c.id == _next.c.id)
    .values(taken_until=bindparam("until", type_=BigInteger))
    .returning(messages.c.id, messages.c.task_id, messages.c.queue, messages.c.priority)
)

_DEPTHS = Query(
    select(messages.c.priority, func.count())
    .where(messages.c.queue == bindparam("the_queue"))
    .group_by(messages.c.priority)
)

_PRIORITIES = {priority.value: priority for priority in Priority}


def _acknowledge(given: Given) -> Delete:
    return delete(messages).where(
        messages.c.id == given["the_id"], messages.c.taken_until == given["the_receipt"]
    )


_ACKNOWLEDGE = ChangeBatch(
    {"the_id": messages.c.id, "the_receipt": messages.c.taken_until},
    _acknowledge,
    key="the_id",
    answer=messages.c.id,
)


class SessionSource(Protocol):
    """The store, as far as a broker on it is concerned."""

    def session(self, *, writing: bool = True) -> AbstractAsyncContextManager[Session]:
        """For one statement, which is kept on leaving in peace; it need not be durable."""
        ...


class Watch(Protocol):
    """Notices that other processes have published."""

    async def open(self) -> None:
        """Begin."""
        ...

    async def close(self) -> None:
        """End."""
        ...

    def version(self) -> int:
        """A number that differs from the last one if anything may have been published between."""
        ...

    async def changed(self, since: int) -> None:
        """Return once the version is no longer `since`."""
        ...

    def published(self) -> None:
        """Have the others know that something was published here. It does not wait."""
        ...


class SqlBroker(Broker):
    """Messages as rows of a small table beside the store's own.

    A message that is taken is hidden until its redelivery is due; the moment itself is the receipt,
    so that an acknowledgement that comes too late cannot delete what another has received.
    Receivers of this process are woken by a publish here; those of others, by their watch.
    """

    asks_first: ClassVar[bool]
    """Whether to look before taking, because taking costs a lock that idling should not take."""

    def __init__(
        self,
        store: SessionSource,
        clock: Clock,
        metrics: Metrics,
        watch: Watch,
        redelivery: timedelta = REDELIVERY,
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._redelivery = redelivery
        self._watch = watch
        self._refused = SparingWarning(log, "rows dropped that are no messages of ours")
        self._published = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Begin; the store must be open."""
        self._closed = False
        await self._watch.open()

    async def close(self) -> None:
        """Wake the receivers, which answer that there is nothing."""
        self._closed = True
        self._published.set()
        await self._watch.close()

    async def publish(self, new: Sequence[Message]) -> None:
        if not new:
            return
        rows = [(message.task_id, message.queue, message.priority.value) for message in new]
        async with self._store.session() as session:
            await session.write_many(_PUBLISH, rows)
        self._published.set()
        self._watch.published()

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        if not queues or limit <= 0:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not self._closed:
            version = self._watch.version()
            sure = self._published.is_set()
            self._published.clear()
            if (sure or not self.asks_first or await self._anything(queues)) and (
                found := await self._take(queues, limit)
            ):
                return found
            left = deadline - loop.time()
            if left <= 0:
                break
            await self._nap(version, min(left, LONGEST_NAP))
        return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            receipts = [delivery.tag.split(":") for delivery in deliveries]
            await self._forget([(int(id), int(until)) for id, until in receipts])

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        async with self._store.session(writing=False) as session:
            result = await session.fetch(_DEPTHS, {"the_queue": queue})
        return {_PRIORITIES.get(row[0], Priority.CRITICAL): row[1] for row in result}

    async def wipe(self) -> None:
        async with self._store.session() as session:
            await session.execute(delete(messages))

    async def _nap(self, version: int, seconds: float) -> None:
        """Sleep until something may have come, here or from another process."""
        wakers = [
            asyncio.ensure_future(self._published.wait()),
            asyncio.ensure_future(self._watch.changed(version)),
        ]
        try:
            await asyncio.wait(wakers, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waker in wakers:
                waker.cancel()

    async def _anything(self, queues: Sequence[str]) -> bool:
        """Whether there is something to take."""
        async with self._store.session(writing=False) as session:
            [found] = await session.fetch(_ANYTHING, {**these(queues), **self._moments()})
            return bool(found[0])

    async def _take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """What is there. Taking nothing but what cannot be believed, it tries again."""
        while True:
            until = to_microseconds(self._clock.now() + self._redelivery)
            moments = {**self._moments(), "until": until}
            parameters = {**these(queues), **moments, "the_limit": limit}
            async with self._store.session() as session:
                taken = await session.fetch(_TAKE, parameters)
            deliveries, refused = [], []
            for id, task, queue, priority in sorted(taken, key=lambda row: (row[3], row[0])):
                try:
                    deliveries.append(Delivery(checked(task, queue, priority), tag=f"{id}:{until}"))
                except MalformedHint:  # somebody else has put it there
                    refused.append((id, until))
            if refused:
                self._refused.count(len(refused))
                self._metrics.hints_refused("malformed", len(refused))
                await self._forget(refused)
            if deliveries or not refused:
                return deliveries

    def _moments(self) -> dict[str, int]:
        """Until when a message was held that is due again, and beyond which nobody holds one.

        Others may hold for longer than this process does, but what is held for ever is forged: it
        would fill the window.
        """
        now = self._clock.now()
        horizon = now + HORIZON * self._redelivery
        return {"the_moment": to_microseconds(now), "the_horizon": to_microseconds(horizon)}

    async def _forget(self, receipts: Sequence[tuple[int, int]]) -> None:
        async with self._store.session() as session:
            await session.write_many(_ACKNOWLEDGE, receipts)
