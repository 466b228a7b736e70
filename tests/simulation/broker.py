"""The broker, and one process's unreliable connection to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.domain.task import Priority
from cueline.infrastructure.memory.broker import MemoryBroker
from tests.simulation.chronicle import Chronicle
from tests.simulation.loop import VirtualLoop


@dataclass(slots=True)
class MessageOdds:
    """How likely it is that a message meets with each accident."""

    dropped: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    reordered: float = 0.0
    longest_delay: float = 20.0
    """In seconds."""


class Line(Protocol):
    """The way from a process to the broker."""

    async def travel(self, what: str) -> None:
        """Take a while; raise `Unavailable` if the way is cut, and `Killed` in a dead process."""
        ...

    def count(self, fault: str) -> None:
        """Note that a fault was injected."""
        ...


class BrokerConnection(Broker):
    """The broker as one process reaches it."""

    capabilities = BrokerCapabilities(Reach.NETWORK, outlives_server=False)

    def __init__(
        self,
        broker: MemoryBroker,
        line: Line,
        odds: MessageOdds,
        random: Random,
        loop: VirtualLoop,
        chronicle: Chronicle,
    ) -> None:
        self._broker = broker
        self._line = line
        self._odds = odds
        self._random = random
        self._loop = loop
        self._chronicle = chronicle

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close: the broker is everybody's."""

    async def publish(self, messages: Sequence[Message]) -> None:
        self._chronicle.published.update(message.task_id for message in messages)
        await self._line.travel("publish")
        arriving = list(messages)
        if len(arriving) > 1 and self._happens(self._odds.reordered, "message reordered"):
            self._random.shuffle(arriving)
        for message in arriving:
            if self._happens(self._odds.dropped, "message dropped"):
                continue
            if self._happens(self._odds.delayed, "message delayed"):
                delay = self._random.uniform(0, self._odds.longest_delay)
                self._loop.outside(delay, self._arrive, message)
                continue
            copies = 2 if self._happens(self._odds.doubled, "message doubled") else 1
            for _ in range(copies):
                await self._broker.publish([message])
        await self._line.travel("published")

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        await self._line.travel("receive")
        received = await self._broker.receive(queues, limit, wait)
        await self._line.travel("received")
        return received

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._line.travel("acknowledge")
        await self._broker.acknowledge(deliveries)
        await self._line.travel("acknowledged")

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        await self._line.travel("depths")
        return await self._broker.depths(queue)

    async def wipe(self) -> None:
        await self._broker.wipe()

    def _happens(self, odds: float, fault: str) -> bool:
        if not odds or self._random.random() >= odds:
            return False
        self._line.count(fault)
        return True

    def _arrive(self, message: Message) -> None:
        self._loop.begin(self._broker.publish([message]))
