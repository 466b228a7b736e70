"""A bell: wakes a loop in this process, so that it need not poll to notice."""

from __future__ import annotations

import asyncio


class Bell:
    """Rung by whoever makes work, waited for by the one loop that does it. Rings do not add up."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiting loop, or have its next wait end at once."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until the bell rings, at most `seconds`; whether it rang."""
        if not self._rung.is_set():
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._rung.wait()
            except TimeoutError:
                return False
        self._rung.clear()
        return True
