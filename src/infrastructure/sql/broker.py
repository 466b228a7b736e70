"""A broker on the store itself, for those who want no other server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    BindParameter,
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
from cueline.application.ports.runtime import Clock
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority
from cueline.infrastructure.sql.batches import Batch, insert_batch
from cueline.infrastructure.sql.store import SqliteStore
from cueline.infrastructure.sql.tables import messages
from cueline.infrastructure.sql.types import to_microseconds
from cueline.infrastructure.sql.watch import FileWatch

REDELIVERY = timedelta(seconds=30)
LONGEST_NAP = 1.0
"""How long a receiver sleeps before it looks for messages that are due again, in seconds."""

_PUBLISH = insert_batch(messages, ("task_id", "queue", "priority"))

_QUEUES: BindParameter[str] = bindparam("the_queues", expanding=True)
_MOMENT = bindparam("the_moment", type_=BigInteger)
_available = (
    messages.c.queue.in_(_QUEUES),
    or_(messages.c.taken_until.is_(None), messages.c.taken_until <= _MOMENT),
)

_ANYTHING = select(exists().where(*_available))

_TAKE = (
    update(messages)
    .where(
        messages.c.id.in_(
            select(messages.c.id)
            .where(*_available)
            .order_by(messages.c.priority, messages.c.id)
            .limit(bindparam("the_limit", type_=Integer))
            .scalar_subquery()
        )
    )
    .values(taken_until=bindparam("until", type_=BigInteger))
    .returning(messages.c.id, messages.c.task_id, messages.c.queue, messages.c.priority)
)

_DEPTH = select(func.count()).where(messages.c.queue == bindparam("the_queue"))

_ACKNOWLEDGE = Batch(
    delete(messages).where(
        messages.c.id == bindparam("the_id"), messages.c.taken_until == bindparam("the_receipt")
    ),
    ["the_id", "the_receipt"],
)


class SqliteBroker(Broker):
    """Messages as rows of a small table, in the file of the store.

    A message that is taken is hidden until its redelivery is due; the moment itself is the receipt,
    so that an acknowledgement that comes too late cannot delete what another has received.
    Receivers of this process are woken by a publish here; those of others notice that the file has
    changed.
    """

    def __init__(
        self, store: SqliteStore, clock: Clock, redelivery: timedelta = REDELIVERY
    ) -> None:
        self._store = store
        self._clock = clock
        self._redelivery = redelivery
        self._watch = FileWatch(store.path)
        self._published = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Begin; the store must be open."""
        self._closed = False

    async def close(self) -> None:
        """Wake the receivers, which answer that there is nothing."""
        self._closed = True
        self._published.set()
        self._watch.close()

    async def publish(self, new: Sequence[Message]) -> None:
        if not new:
            return
        rows = [(message.task_id, message.queue, message.priority.value) for message in new]
        async with self._store.session() as session:
            await session.write_many(_PUBLISH, rows)
        self._published.set()

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        if not queues or limit <= 0:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not self._closed:
            version = self._watch.version()
            sure = self._published.is_set()
            self._published.clear()
            # Unless a publish here says so, ask first: idling shall take no write lock.
            if (sure or await self._anything(queues)) and (
                found := await self._take(queues, limit)
            ):
                return found
            left = deadline - loop.time()
            if left <= 0:
                break
            await self._nap(version, min(left, LONGEST_NAP))
        return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        receipts = [delivery.tag.split(":") for delivery in deliveries]
        async with self._store.session() as session:
            await session.write_many(
                _ACKNOWLEDGE, [(int(id), int(until)) for id, until in receipts]
            )

    async def depth(self, queue: str) -> int:
        async with self._store.session(writing=False) as session:
            result = await session.execute(_DEPTH, {"the_queue": queue})
            return int(result.scalar)

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
        """Whether there is something to take; asked first, so that idling takes no write lock."""
        async with self._store.session(writing=False) as session:
            moment = to_microseconds(self._clock.now())
            result = await session.execute(
                _ANYTHING, {"the_queues": list(queues), "the_moment": moment}
            )
            return bool(result.scalar)

    async def _take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        now = self._clock.now()
        until = to_microseconds(now + self._redelivery)
        parameters = {
            "the_queues": list(queues),
            "the_moment": to_microseconds(now),
            "the_limit": limit,
            "until": until,
        }
        async with self._store.session() as session:
            taken = await session.execute(_TAKE, parameters)
        return [
            Delivery(Message(TaskId(task_id), queue, Priority(priority)), tag=f"{id}:{until}")
            for id, task_id, queue, priority in sorted(
                taken, key=lambda row: (row.priority, row.id)
            )
        ]
