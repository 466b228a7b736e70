"""Warnings that count instead of filling the log."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

INTERVAL: Final = 60.0
"""How often one warning is written at most, in seconds."""


class SparingWarning:
    """Counts what goes wrong, and says so at the first time and then once a minute at most.

    Used on an event loop, whose time it goes by.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._untold = 0
        self._silent_until = float("-inf")

    def count(self, number: int = 1, why: object = "") -> None:
        """Count so many more of them; `why` is an example."""
        self._untold += number
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            self._log.warning("%s: %d%s", self._what, self._untold, f" ({why})" if why else "")
            self._untold = 0
            self._silent_until = now + INTERVAL
