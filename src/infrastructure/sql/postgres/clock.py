"""The database's time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from cueline.application.ports.runtime import Clock

KEEP = timedelta(minutes=1)
"""How long a good measurement is preferred to a newer one that took longer."""


class DatabaseClock(Clock):
    """The database's time, told without asking it: measured now and then, counted on from there.

    What lies between two measurements is counted by the monotonic clock, which nobody sets. So all
    processes on one database agree on the time, whatever their own machines think it is.
    """

    def __init__(self, monotonic: Callable[[], float] = monotonic) -> None:
        self._monotonic = monotonic
        self._epoch: datetime | None = None
        self._measured_at = 0.0
        self._doubt = timedelta.max

    def now(self) -> datetime:
        """The present moment by the last measurement; by this machine before there is any."""
        if self._epoch is None:
            return datetime.now(UTC)
        return self._epoch + timedelta(seconds=self._monotonic())

    def measured(self, moment: datetime, asked: float, answered: float) -> None:
        """Note that the database said `moment` between two readings of the monotonic clock.

        The answer is taken to have been true half way. Of the recent measurements the one whose
        answer came quickest is kept, unless the database's clock was set meanwhile.
        """
        doubt = timedelta(seconds=(answered - asked) / 2)
        epoch = moment - timedelta(seconds=(asked + answered) / 2)
        is_worse = doubt > self._doubt and answered - self._measured_at < KEEP.total_seconds()
        if self._epoch is not None and is_worse and abs(epoch - self._epoch) <= doubt + self._doubt:
            return
        self._epoch, self._doubt, self._measured_at = epoch, doubt, answered
