"""Questions that are put to the store less often when their answers have become dear."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

REST: Final = 20
"""What is dear rests twenty times as long as it took: it has a twentieth of the time."""

LONGEST_REST: Final = 10.0
"""How long it rests at most, in seconds."""


class Ration:
    """Tells when something may be done again, by how long it took the last two times.

    Once is no sign: a process may have been held up. Used on an event loop, whose time it goes by.
    """

    def __init__(self, cheap: float) -> None:
        """What takes no longer than `cheap`, in seconds, is not rationed."""
        self._cheap = cheap
        self._took = 0.0
        self._rests_until = float("-inf")

    @property
    def is_resting(self) -> bool:
        """Whether it was so dear that it should not be done now."""
        return asyncio.get_running_loop().time() < self._rests_until

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Do it, and have it rest thereafter, whether it failed or not."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            yield
        finally:
            ended = loop.time()
            before, self._took = self._took, ended - begun
            if (dear := min(before, self._took)) > self._cheap:
                self._rests_until = ended + min(REST * dear, LONGEST_REST)
