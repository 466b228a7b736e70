"""Who watches: what the others are told of this process, and what it has heard of them."""

from __future__ import annotations

import asyncio


class Presence:
    """Keeps when others were last heard to watch, and when they must hear again that we do.

    It goes by the time of the event loop. A process that stops watching does not say so: it is
    forgotten after `patience` seconds, as one that has vanished is.
    """

    def __init__(self, announcing: float, patience: float) -> None:
        self._announcing = announcing
        self._patience = patience
        self._watched_until: float | None = None  # mostly nobody watches: then no clock is read
        self._due_at = float("-inf")

    def heard(self) -> None:
        """Another process has just said that it watches."""
        self._watched_until = _now() + self._patience

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process watches, as far as is known."""
        return self._watched_until is not None and _now() < self._watched_until

    def announced(self) -> None:
        """The others have just been told that we watch."""
        self._due_at = _now() + self._announcing

    def until_due(self) -> float:
        """How many seconds it takes until they must be told again; 0 if they must be told now."""
        return max(0.0, self._due_at - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
