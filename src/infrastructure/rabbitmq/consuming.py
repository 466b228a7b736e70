"""Consuming: having the server send what somebody here is waiting for, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count

from aiormq import Channel
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from cueline.infrastructure.rabbitmq.inbox import Answer, Consumer, Inbox
from cueline.infrastructure.rabbitmq.lanes import Lane, Lanes, lanes_of

REST_AFTER = 0.1
"""How long what has come is kept while nobody here wants it, in seconds."""

PREFETCH = 2
"""How many times what a receiver asks for the server may send ahead."""

MOST_WANTED = 250
"""Up to how many messages a receiver's wish counts in that."""

QUIET_TURNS = 3
"""After so many turns of the event loop without a message no more are at the door."""


class Consuming:
    """The consumers on one channel, which feed an inbox.

    A consumer for each lane of the queues that are wanted. When a queue has not been wanted for a
    moment, its consumers end and what they brought goes back, so that it is not kept from others.
    """

    def __init__(self, channel: Channel, lanes: Lanes, inbox: Inbox) -> None:
        self._channel = channel
        self._lanes = lanes
        self._inbox = inbox
        self._consumers: dict[Lane, Consumer] = {}
        self._tags = count(1)
        self._prefetch = 0
        self._changing = asyncio.Lock()
        self._wanted: Counter[str] = Counter()
        self._last_wanted: dict[str, float] = {}
        self._sleepers: dict[asyncio.Future[None], frozenset[str]] = {}
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    # --- who wants what ---------------------------------------------------------------------------

    @contextmanager
    def wanting(self, queues: Sequence[str]) -> Iterator[None]:
        """Want messages of these queues for as long as the context lasts."""
        self._wanted.update(queues)
        try:
            yield
        finally:
            self._wanted.subtract(queues)
            now = asyncio.get_running_loop().time()
            self._last_wanted.update(dict.fromkeys(queues, now))

    async def arrival(self, queues: Sequence[str], seconds: float) -> None:
        """Sleep until something may have come for one of these queues, or the time is over."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[woken] = frozenset(queues)
        try:
            await asyncio.wait([woken], timeout=seconds)
        finally:
            del self._sleepers[woken]

    async def gather(self, queues: Sequence[str], limit: int) -> None:
        """Once something has come, let in what is at the door, up to so many messages.

        They come a few at each turn of the event loop; whoever took the first would claim a few
        where it could claim a hundred.
        """
        quiet = 0
        while quiet < QUIET_TURNS and 0 < self._inbox.waiting(queues) < limit:
            latest = self._inbox.latest
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._inbox.latest == latest else 0

    def bring_back(self, now: datetime) -> None:
        """Let what was handed out for too long wait again."""
        if queues := self._inbox.bring_back(now):
            self._wake(queues)

    def _wake(self, queues: Collection[str] | None = None) -> None:
        """Have the sleepers of these queues, or all of them, look again."""
        for woken, wanted in self._sleepers.items():
            if not woken.done() and (queues is None or not wanted.isdisjoint(queues)):
                woken.set_result(None)

    # --- consumers --------------------------------------------------------------------------------

    @property
    def is_resting(self) -> bool:
        """Whether nobody wants anything, and the server sends nothing."""
        return not self._consumers and not self._wanted.total()

    def attends(self, queues: Sequence[str], limit: int) -> bool:
        """Whether the server may send what a receiver of so many messages asks for."""
        return all(self._serves(lane, limit) for queue in queues for lane in lanes_of(queue))

    async def attend(self, queues: Sequence[str], limit: int, *, completely: bool) -> None:
        """Have the server send messages of these queues.

        When it returns, what a new consumer was to get has come, so that the most urgent is known.
        `completely`: what the others were to get has come too.
        """
        await self._lanes.require(queues)
        async with self._changing:
            lanes = [lane for queue in queues for lane in lanes_of(queue)]
            lacking = [lane for lane in lanes if not self._serves(lane, limit)]
            for lane in lacking:
                await self._end(lane)
                await self._begin(lane, PREFETCH * min(limit, MOST_WANTED))
            for lane in lanes if completely else lacking:
                await self._lanes.ready(lane, self._channel)

    async def rest(self) -> None:
        """End the consumers of queues that nobody wants, and give back what they brought."""
        idle = self._idle({lane.queue for lane in self._consumers} | self._inbox.waiting_queues)
        if not idle:
            return
        async with self._changing:
            for lane in [lane for lane in self._consumers if lane.queue in idle]:
                await self._end(lane)
            for answer in self._inbox.give_back(self._idle(idle)):
                await self._channel.basic_nack(answer.number, answer.multiple, wait=False)

    async def wipe(self) -> None:
        """Forget what is here, and have the server forget what it has in the lanes we know."""
        async with self._changing:
            for lane in list(self._consumers):
                await self._end(lane)
            await self.acknowledge(self._inbox.clear())
            for lane in self._lanes:
                await self._lanes.ready(lane, self._channel)  # if it is gone, purging would fail
                await self._channel.queue_purge(self._lanes.name(lane))
        self._wake()

    def end(self) -> None:
        """Forget what is here: the connection is gone, and the server delivers it to others."""
        self._consumers.clear()
        self._inbox.clear()
        self._wake()

    async def acknowledge(self, answers: Sequence[Answer]) -> None:
        """Tell the server to forget messages."""
        for answer in answers:
            await self._channel.basic_ack(answer.number, answer.multiple, wait=False)

    def _serves(self, lane: Lane, limit: int) -> bool:
        consumer = self._consumers.get(lane)
        return consumer is not None and consumer.can_hold(min(limit, MOST_WANTED))

    def _idle(self, queues: Collection[str]) -> set[str]:
        latest = asyncio.get_running_loop().time() - REST_AFTER
        return {
            queue
            for queue in queues
            if not self._wanted[queue] and self._last_wanted.get(queue, latest) <= latest
        }

    async def _begin(self, lane: Lane, prefetch: int) -> None:
        if prefetch != self._prefetch:  # it holds for the consumers that begin after it
            await self._channel.basic_qos(prefetch_count=prefetch)
            self._prefetch = prefetch
        consumer = Consumer(lane, prefetch, f"{self._lanes.name(lane)}#{next(self._tags)}")
        self._consumers[lane] = consumer
        await self._channel.basic_consume(
            self._lanes.name(lane), partial(self._arrived, consumer), consumer_tag=consumer.tag
        )

    async def _end(self, lane: Lane) -> None:
        """End a consumer. What is under way to it comes before the answer, so nothing is lost."""
        if (consumer := self._consumers.pop(lane, None)) is not None:
            await self._channel.basic_cancel(consumer.tag)

    async def _arrived(self, consumer: Consumer, delivered: DeliveredMessage) -> None:
        if delivered.delivery_tag is not None:
            self._inbox.arrive(consumer, delivered.delivery_tag, delivered.body)
            self._wake((consumer.lane.queue,))

    def _cancelled(self, notice: Basic.Cancel) -> None:
        """The server ended a consumer: somebody deleted the queue."""
        for lane, consumer in list(self._consumers.items()):
            if consumer.tag == notice.consumer_tag:
                del self._consumers[lane]
                self._lanes.forget([lane.queue])
                self._wake([lane.queue])
