"""A broker and a store in memory that a test can take away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from cueline.application.ports.broker import Delivery, Message
from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.runtime import Clock
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.store import MemoryStore

EVERYTHING = frozenset({"publish", "receive", "acknowledge", "depth"})
"""What a broker that is away refuses."""


class BrittleBroker(MemoryBroker):
    """A memory broker of which single operations can be made to fail, or never to answer.

    `asked` counts the calls that were made, by operation.
    """

    refusing: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked: Counter[str] = Counter()

    async def publish(self, messages: Sequence[Message]) -> None:
        await self._ask("publish")
        await super().publish(messages)

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        await self._ask("receive")
        return await super().receive(queues, limit, wait)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._ask("acknowledge")
        await super().acknowledge(deliveries)

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        await self._ask("depth")
        return await super().depths(queue)

    async def _ask(self, operation: str) -> None:
        self.asked[operation] += 1
        if operation in self.refusing:
            raise Unavailable("the broker", "a test wants it so")
        if operation in self.silent:
            await asyncio.get_running_loop().create_future()


class BrittleStore(MemoryStore):
    """A memory store of which the next commit, or reading, can be made to fail."""

    failing_commit: Exception | None = None
    failing_read: Exception | None = None

    def write(self, *, durable: bool = True) -> UnitOfWork:
        error, self.failing_commit = self.failing_commit, None
        return super().write() if error is None else _FailingCommit(super().write(), error)

    def read(self) -> UnitOfWork:
        if self.failing_read is not None:
            raise self.failing_read
        return super().read()


class _FailingCommit(UnitOfWork):
    def __init__(self, inner: UnitOfWork, error: Exception) -> None:
        self._inner = inner
        self._error = error
        self.tasks, self.runs, self.journal = inner.tasks, inner.runs, inner.journal
        self.workflows, self.definitions = inner.workflows, inner.definitions
        self.queues, self.workers = inner.queues, inner.workers

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc, traceback)

    async def commit(self) -> None:
        raise self._error
