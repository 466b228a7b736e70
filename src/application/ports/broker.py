"""The broker, which moves hints about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from cueline.application.ports.capabilities import BrokerCapabilities
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority


@dataclass(frozen=True, slots=True)
class Message:
    """A hint that a task may be ready. It names the task and carries nothing else of it."""

    task_id: TaskId
    queue: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was received; `tag` is what the broker needs to have it acknowledged."""

    message: Message
    tag: str


class Broker(Protocol):
    """Carries messages from dispatchers to workers, at least once, and promises nothing more.

    A message may be lost, doubled, late or out of order; the store makes up for all of it. Safe for
    concurrent use within one event loop. `Unavailable` is raised when the broker does not answer:
    soon, and at once while it is known to be away. It reconnects by itself, without being used.

    Bytes that are no message of ours are dropped, with a warning and a count.
    """

    capabilities: ClassVar[BrokerCapabilities]

    async def open(self) -> None:
        """Begin. Constructors do no I/O; whatever is needed is done here.

        It returns although the server may not answer yet: without a broker work goes on too.
        """
        ...

    async def close(self) -> None:
        """End; closing twice is closing once. Waiting receivers answer that there is nothing."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Make messages available to receivers. Publishing one twice may deliver it twice."""
        ...

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        """Up to `limit` messages of these queues: higher priority first, in each queue the older.

        Queues do not starve one another within a priority. Answers at once with what is there; if
        nothing is, waits up to `wait` seconds for the first.
        A delivery belongs to this receiver until it is acknowledged. One that is not acknowledged
        for `redelivery` seconds, or whose receiver went away, is delivered again.
        """
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Forget these messages. Acknowledging twice, or too late, does nothing."""
        ...

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        """How many messages of a queue there are by priority; one counts until acknowledged.

        Those that a receiver holds may be counted under a higher priority than they have.
        """
        ...

    async def depth(self, queue: str) -> int:
        """How many messages of a queue the broker holds."""
        return sum((await self.depths(queue)).values())

    async def wipe(self) -> None:
        """Forget everything. Nothing is lost by it: the store brings every message back."""
        ...
