"""A sorted collection that stays fast when it holds many items."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])

CHUNK = 512
"""How many items a chunk holds when it is split off; a full one has twice as many."""


class Ordered(Generic[T]):
    """Distinct tuples in ascending order, in chunks so that adding and removing move few of them.

    Positions are given as tuples too; a shorter one stands before all that begin with it. Neither
    add nor remove while iterating.
    """

    def __init__(self) -> None:
        self._chunks: list[list[T]] = []
        self._lasts: list[T] = []  # the highest item of each chunk
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, item: T) -> None:
        """Add an item that is not yet there."""
        self._count += 1
        if not self._chunks:
            self._chunks.append([item])
            self._lasts.append(item)
            return
        at = min(bisect_left(self._lasts, item), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, item)
        if len(chunk) > 2 * CHUNK:
            self._chunks.insert(at + 1, chunk[CHUNK:])
            self._lasts.insert(at + 1, chunk[-1])
            del chunk[CHUNK:]
        self._lasts[at] = chunk[-1]

    def remove(self, item: T) -> None:
        """Remove an item that is there."""
        self._count -= 1
        at = bisect_left(self._lasts, item)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, item)]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at]
            del self._lasts[at]

    def ascending(self, start: tuple[Any, ...] = ()) -> Iterator[T]:
        """The items from `start` on."""
        at = bisect_left(self._lasts, start)
        for index in range(at, len(self._chunks)):
            chunk = self._chunks[index]
            first = bisect_left(chunk, start) if index == at else 0
            yield from chunk[first:] if first else chunk

    def descending(self, end: tuple[Any, ...] | None = None) -> Iterator[T]:
        """The items below `end` (all, if there is none), the highest first."""
        at = len(self._chunks) - 1
        if end is not None:
            at = min(bisect_left(self._lasts, end), at)
        for index in range(at, -1, -1):
            chunk = self._chunks[index]
            beyond = len(chunk) if end is None or index < at else bisect_left(chunk, end)
            for position in range(beyond - 1, -1, -1):
                yield chunk[position]
