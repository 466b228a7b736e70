"""How events travel between processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from cueline.application.ports.capabilities import Reach


class Channel(Protocol):
    """Carries short payloads to every process that has it open, the sender included. Best effort.

    It reconnects by itself; what is sent meanwhile is lost. Payloads of one sender arrive in order.
    `Unavailable` is raised when it cannot carry anything at the moment.
    """

    reach: ClassVar[Reach]
    largest: ClassVar[int]
    """The largest payload, in bytes."""

    async def open(self, receive: Callable[[bytes], None]) -> None:
        """Begin, and hand whatever arrives to `receive`, on the loop that opened the channel.

        It returns although there is no connection yet, and goes on trying.
        """
        ...

    async def close(self) -> None:
        """End; closing twice is closing once."""
        ...

    async def send(self, payload: bytes) -> None:
        """Send a payload of at most `largest` bytes. It never waits long."""
        ...
