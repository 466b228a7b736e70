"""A bell: wakes a loop in this process, so that it need not poll to notice."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung by whoever makes work, waited for by the one loop that does it. Rings do not add up."""

    def __init__(self) -> None:
        self._awake = asyncio.Event()
        self._rung = False

    def ring(self) -> None:
        """Wake the waiting loop, or have its next wait end at once."""
        self._rung = True
        self._awake.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until the bell rings, at most `seconds`; whether it rang."""
        # Not `asyncio.timeout`: on Python 3.11 it can take a cancellation that arrives in the same
        # turn of the loop for its own.
        alarm = asyncio.get_running_loop().call_later(max(0.0, seconds), self._awake.set)
        try:
            await self._awake.wait()
        finally:
            alarm.cancel()
        rung, self._rung = self._rung, False
        self._awake.clear()
        return rung
