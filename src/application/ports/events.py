"""The event bus, which tells whoever is watching what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Protocol

from cueline.application.ports.capabilities import BusCapabilities
from cueline.domain.events import Event


class EventBus(Protocol):
    """Spreads lifecycle and progress events. Best effort: whoever must know reads the store.

    It reconnects by itself, and nothing that it cannot do is an error.
    """

    capabilities: ClassVar[BusCapabilities]

    async def open(self) -> None:
        """Begin. Constructors do no I/O; whatever is needed is done here.

        It returns although a server may not answer yet.
        """
        ...

    async def close(self) -> None:
        """End; closing twice is closing once. Subscriptions end."""
        ...

    @property
    def is_watched(self) -> bool:
        """False if nobody can be listening, so that events need not even be made."""
        ...

    async def publish(self, events: Sequence[Event]) -> None:
        """Tell the subscribers. Never waits for a slow one, and never fails for want of any."""
        ...

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """The events about these tasks and runs from now on, those of one process in its order.

        A subscriber that falls far behind loses the oldest events rather than holding up the rest.
        """
        ...
