"""The slots of a worker: how many tasks it may run at once."""

from __future__ import annotations

import asyncio


class Slots:
    """How many there are, and how many are taken."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken = 0
        self._opened = asyncio.Event()

    @property
    def free(self) -> int:
        """How many may be filled."""
        return self.count - self._taken

    def fill(self) -> None:
        """Take one."""
        self._taken += 1

    def leave(self) -> None:
        """Give one up."""
        self._taken -= 1
        self.open()

    def open(self) -> None:
        """Wake whoever waits: a slot was left, or there is something else to look at."""
        self._opened.set()

    async def wait(self) -> None:
        """Wait until `open` is said once more."""
        self._opened.clear()
        await self._opened.wait()
