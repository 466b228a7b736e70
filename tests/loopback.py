"""A channel in memory, for event buses that share nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cueline.application.ports.capabilities import Reach
from cueline.domain.errors import Unavailable
from cueline.infrastructure.events.channel import Channel


class Loopback:
    """What the channels of one test share. `sent` are the payloads it carried."""

    def __init__(self) -> None:
        self.receivers: list[Callable[[bytes], None]] = []
        self.sent: list[bytes] = []
        self.failure: Exception | None = None
        self.attempts = 0

    def fail(self, failure: Exception | None = None) -> None:
        """Carry nothing from now on."""
        self.failure = failure or Unavailable("the loopback", "a test cut it")

    def mend(self) -> None:
        """Carry again."""
        self.failure = None

    def carry(self, payload: bytes) -> None:
        """Hand a payload to all who have it open, in later turns of the loop, as networks do."""
        self.sent.append(payload)
        for receive in self.receivers:
            asyncio.get_running_loop().call_soon(receive, payload)


class LoopbackChannel(Channel):
    """One bus's end of a loopback."""

    reach = Reach.PROCESS
    largest = 1000

    def __init__(self, loopback: Loopback) -> None:
        self._loopback = loopback
        self._receive: Callable[[bytes], None] | None = None

    async def open(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._loopback.receivers.append(receive)

    async def close(self) -> None:
        if self._receive is not None:
            self._loopback.receivers.remove(self._receive)
            self._receive = None

    async def send(self, payload: bytes) -> None:
        self._loopback.attempts += 1
        await asyncio.sleep(0)
        if self._loopback.failure is not None:
            raise self._loopback.failure
        assert len(payload) <= self.largest
        self._loopback.carry(payload)
