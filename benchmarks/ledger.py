"""What happened to each numbered task, noted by every process in one file mapped into memory.

Only the standard library: it is imported in the peers' environments too. All systems are measured
by these notes, so that nobody's own result backend is trusted. A note is one aligned double, so
writers need no lock, and the monotonic clock is the same for all processes of a machine.
"""

from __future__ import annotations

import mmap
import os
import time
from array import array
from pathlib import Path

_NOTES = 3  # submitted, started, ended
_BYTES = 8 * _NOTES


class Ledger:
    """Three times per number: submitted, started, ended; zero until they are noted.

    Whoever makes it says with `create` how many numbers there are. A repeated note overwrites, so
    what was run twice counts at its last end. A number beyond the ledger is an error.
    """

    def __init__(self, path: str | os.PathLike[str], create: int | None = None) -> None:
        if create is not None:
            with Path(path).open("wb") as file:
                file.truncate(max(create, 1) * _BYTES)
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._notes = memoryview(self._map).cast("d")
        self.size = len(self._notes) // _NOTES

    def submitted(self, number: int, at: float | None = None) -> None:
        """Note that a task is about to be submitted, or when it should have been."""
        self._notes[_NOTES * number] = time.monotonic() if at is None else at

    def started(self, number: int) -> None:
        """Note that a task's handler begins: its first line."""
        self._notes[_NOTES * number + 1] = time.monotonic()

    def ended(self, number: int) -> None:
        """Note that a task's handler is done: its last line."""
        self._notes[_NOTES * number + 2] = time.monotonic()

    def submits(self, first: int = 0, count: int | None = None) -> array[float]:
        """When each was submitted."""
        return self._column(0, first, count)

    def starts(self, first: int = 0, count: int | None = None) -> array[float]:
        """When each started; 0.0 where none has."""
        return self._column(1, first, count)

    def ends(self, first: int = 0, count: int | None = None) -> array[float]:
        """When each ended; 0.0 where none has."""
        return self._column(2, first, count)

    def has_ended(self, number: int) -> bool:
        """Whether this task's handler is done."""
        return self._notes[_NOTES * number + 2] != 0.0

    def is_open(self, number: int) -> bool:
        """Whether this task has been submitted and its handler is not done."""
        return self._notes[_NOTES * number] != 0.0 and not self.has_ended(number)

    def done(self, first: int = 0, count: int | None = None) -> int:
        """How many have ended: a look at each of them."""
        ends = self.ends(first, count)
        return len(ends) - ends.count(0.0)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._notes.release()
        self._map.close()

    def _column(self, note: int, first: int, count: int | None) -> array[float]:
        last = self.size if count is None else first + count
        # A memoryview does not copy every third at once; an array does.
        return array("d", self._notes[_NOTES * first : _NOTES * last])[note::_NOTES]
