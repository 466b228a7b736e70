"""What the server has handed over, and keeps no account of until it is told who has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from cueline.application.ports.broker import Delivery


class Handed:
    """Deliveries that the server knows nothing of.

    Those that are not acknowledged within `seconds`, or sooner, are noted at the server, which then
    has them come again. Most are acknowledged before, and cost it nothing more; so what is lost
    with this process is what it was handed in its last moment.
    """

    def __init__(
        self, note: Callable[[Sequence[Delivery]], Awaitable[None]], seconds: float
    ) -> None:
        self._note = note
        self._seconds = seconds
        self._unknown: dict[str, Delivery] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Take these over."""
        self._unknown.update((delivery.tag, delivery) for delivery in deliveries)
        if self._alarm is None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._seconds, self._begin_to_note)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Forget these; answer those of which the server may know."""
        known = [each for each in deliveries if self._unknown.pop(each.tag, None) is None]
        if known:
            await self._noted()
        return known

    async def note_all(self) -> None:
        """Note all that the server does not know of."""
        self._begin_to_note()
        await self._noted()

    def _begin_to_note(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        unknown, self._unknown = self._unknown, {}
        if unknown:
            noting = asyncio.ensure_future(self._note(list(unknown.values())))
            self._under_way.add(noting)
            noting.add_done_callback(self._under_way.discard)

    async def _noted(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way)
