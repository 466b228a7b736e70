"""Questions that are put to the store less often when their answers have become dear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

CHEAP: Final = 0.02
"""What takes no longer than this is not rationed, in seconds."""

REST: Final = 20
"""What is dear rests twenty times as long as it took: it has a twentieth of the time."""

LONGEST_REST: Final = 10.0
"""How long it rests at most, in seconds."""


class Ration:
    """Tells when something may be done again, by how long it took the last time.

    Used on an event loop, whose time it goes by.
    """

    def __init__(self) -> None:
        self._rests_until = float("-inf")

    @property
    def is_resting(self) -> bool:
        """Whether it was so dear that it should not be done now."""
        return asyncio.get_running_loop().time() < self._rests_until

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Do it, and have it rest thereafter. What failed may be tried again at once."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        yield
        ended = loop.time()
        if (took := ended - begun) > CHEAP:
            self._rests_until = ended + min(REST * took, LONGEST_REST)
