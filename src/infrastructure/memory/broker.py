"""A broker in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority


class _Rank(NamedTuple):
    """Where a message stands: higher priority first, then the older. No two are equal."""

    priority: int
    age: int


@dataclass(frozen=True, slots=True)
class _Unacknowledged:
    rank: _Rank
    message: Message
    until: datetime


class MemoryBroker(Broker):
    """Carries messages between the parts of one process.

    What is not acknowledged within `redelivery` seconds by the clock is delivered again, at its old
    place. Receivers wait without polling. Closing wakes them with nothing; a closed broker is
    `Unavailable` until it is opened again.
    """

    capabilities = BrokerCapabilities(Reach.PROCESS, outlives_server=False)

    def __init__(self, clock: Clock, redelivery: float = 30.0) -> None:
        self._clock = clock
        self._redelivery = timedelta(seconds=redelivery)
        self._ages = count()
        self._tags = count(1)
        self._ready: dict[str, list[tuple[_Rank, Message]]] = {}  # a heap for each queue
        self._delivered: dict[str, _Unacknowledged] = {}  # by tag, the oldest first
        self._in_flight: Counter[str] = Counter()  # the delivered ones of each queue
        self._waiting: dict[asyncio.Future[None], frozenset[str]] = {}
        self._closed = False

    async def open(self) -> None:
        """Carry messages again after a `close`. A new broker is open."""
        self._closed = False

    async def close(self) -> None:
        """Wake every waiting receiver. Closing twice is closing once."""
        self._closed = True
        self._wake(None)

    async def publish(self, messages: Sequence[Message]) -> None:
        self._require_open()
        for message in messages:
            self._put(_Rank(message.priority, next(self._ages)), message)
        self._wake({message.queue for message in messages})

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        self._require_open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not self._closed:
            self._bring_back()
            taken = self._take(queues, limit)
            left = deadline - loop.time()
            if taken or left <= 0:
                return taken
            await self._wait(frozenset(queues), min(left, self._until_redelivery()))
        return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._require_open()
        for delivery in deliveries:
            if (held := self._delivered.pop(delivery.tag, None)) is not None:
                self._in_flight[held.message.queue] -= 1

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        self._require_open()
        depths = Counter(message.priority for _, message in self._ready.get(queue, ()))
        depths[Priority.CRITICAL] += self._in_flight[queue]
        return depths

    async def wipe(self) -> None:
        self._require_open()
        self._ready.clear()
        self._delivered.clear()
        self._in_flight.clear()

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("the memory broker", "it is closed")

    def _put(self, rank: _Rank, message: Message) -> None:
        heappush(self._ready.setdefault(message.queue, []), (rank, message))

    def _take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        heaps = [heap for name in dict.fromkeys(queues) if (heap := self._ready.get(name))]
        taken: list[Delivery] = []
        until = self._clock.now() + self._redelivery
        while heaps and len(taken) < limit:
            heap = min(heaps, key=lambda heap: heap[0][0])
            rank, message = heappop(heap)
            if not heap:
                heaps.remove(heap)
                del self._ready[message.queue]
            tag = str(next(self._tags))
            self._delivered[tag] = _Unacknowledged(rank, message, until)
            self._in_flight[message.queue] += 1
            taken.append(Delivery(message, tag))
        return taken

    def _bring_back(self) -> None:
        """Make deliveries available again that were not acknowledged in time."""
        now = self._clock.now()
        late = []
        for tag, held in self._delivered.items():
            if held.until > now:
                break
            late.append(tag)
        for tag in late:
            held = self._delivered.pop(tag)
            self._in_flight[held.message.queue] -= 1
            self._put(held.rank, held.message)

    def _until_redelivery(self) -> float:
        """How many seconds it takes until a delivery might come back."""
        if not self._delivered:
            return float("inf")
        oldest = next(iter(self._delivered.values()))
        return max(0.001, (oldest.until - self._clock.now()).total_seconds())

    async def _wait(self, queues: frozenset[str], seconds: float) -> None:
        """Wait for a message in one of the queues, for closing, or for the time to pass."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[woken] = queues
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await woken
        except TimeoutError:
            pass
        finally:
            del self._waiting[woken]

    def _wake(self, queues: set[str] | None) -> None:
        """Have the receivers of these queues (None: all) look again; who comes first is served."""
        for woken, wanted in self._waiting.items():
            if not woken.done() and (queues is None or not wanted.isdisjoint(queues)):
                woken.set_result(None)
