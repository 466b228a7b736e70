"""The receivers of this process that wait for something to come."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Receiver:
    """One that waits. A call that comes while it is looking makes its next wait end at once."""

    def __init__(self, queues: frozenset[str]) -> None:
        self.queues = queues
        self._called = asyncio.Event()

    def call(self) -> None:
        """Have it look."""
        self._called.set()

    def look(self) -> None:
        """Note that it looks now: calls up to here are answered by what it will find."""
        self._called.clear()

    async def nap(self, seconds: float) -> None:
        """Wait to be called, at most so long."""
        # Not `asyncio.timeout`: on Python 3.11 it can take a cancellation that arrives in the same
        # turn of the loop for its own.
        alarm = asyncio.get_running_loop().call_later(seconds, self._called.set)
        try:
            await self._called.wait()
        finally:
            alarm.cancel()


class Receivers:
    """Those who wait, and for what."""

    def __init__(self) -> None:
        self._waiting: set[Receiver] = set()

    @contextmanager
    def waiting(self, queues: Collection[str]) -> Iterator[Receiver]:
        """One that waits for messages of these queues. It is called from the very beginning."""
        receiver = Receiver(frozenset(queues))
        self._waiting.add(receiver)
        try:
            yield receiver
        finally:
            self._waiting.discard(receiver)

    def call(self, queues: Collection[str]) -> None:
        """Have those look who wait for one of these queues."""
        for receiver in self._waiting:
            if not receiver.queues.isdisjoint(queues):
                receiver.call()

    def call_all(self) -> None:
        """Have everybody look."""
        for receiver in self._waiting:
            receiver.call()
