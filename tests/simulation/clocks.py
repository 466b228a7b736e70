"""Clocks: the true one, and those of hosts, which may be wrong."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from cueline.application.ports.runtime import Clock
from tests.doubles import NOW


class TrueClock(Clock):
    """What the time really is, in the simulated world."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time())


class HostClock(Clock):
    """A host's clock: the true time, and an error that may jump. It may stand at the same moment
    twice, but then it was set back."""

    def __init__(self, true: TrueClock) -> None:
        self._true = true
        self.error = timedelta(0)

    def now(self) -> datetime:
        return self._true.now() + self.error
