"""The time by this machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime

from cueline.application.ports.runtime import Clock


class SystemClock(Clock):
    """This machine's clock. Right for a store that lies on this machine too."""

    def now(self) -> datetime:
        return datetime.now(UTC)
