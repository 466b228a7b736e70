"""Stand-ins for what tests must control: the time and the identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cueline.application.ports.runtime import Clock, IdGenerator

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Move to a moment, ahead or back."""
        self._now = now

    def advance(self, seconds: float) -> datetime:
        """Move ahead and answer the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now


class RisingIds(IdGenerator):
    """Valid UUIDs of version 7 that rise and are the same in every run of the tests."""

    def __init__(self, start: datetime = NOW) -> None:
        self._milliseconds = int(start.timestamp() * 1000)

    def new(self) -> str:
        self._milliseconds += 1
        bits = (self._milliseconds << 80) | (0x7 << 76) | (0x2 << 62) | self._milliseconds
        return str(UUID(int=bits))
