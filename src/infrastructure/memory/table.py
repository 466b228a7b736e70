"""Tables with indexes, and the view that one unit of work has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, ItemsView, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from typing import Any, Generic, TypeAlias, TypeVar

from cueline.infrastructure.memory.ordered import Ordered

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Position: TypeAlias = tuple[Any, ...]
"""A place in a group: (order,), before every row of that order, or (order, key)."""

_NOTHING: Ordered[tuple[Any, Any]] = Ordered()


@dataclass(frozen=True, slots=True, eq=False)
class Index(Generic[V]):
    """How rows are found: the group that a row belongs to (None: to none), and its order there.

    Rows of equal order stand in the order of their keys.
    """

    group: Callable[[V], Hashable]
    order: Callable[[V], Any]


class Table(Generic[K, V]):
    """Rows by key, and the indexes over them. Rows are immutable; `put` replaces a whole one."""

    def __init__(self, indexes: Sequence[Index[V]] = ()) -> None:
        self.indexes = tuple(indexes)
        self.rows: dict[K, V] = {}
        self._groups: tuple[dict[Hashable, Ordered[tuple[Any, K]]], ...] = tuple(
            {} for _ in self.indexes
        )

    def put(self, key: K, row: V) -> None:
        """Insert a row, or replace the one that has this key."""
        before = self.rows.get(key)
        self.rows[key] = row
        for index, groups in zip(self.indexes, self._groups, strict=True):
            group, order = index.group(row), index.order(row)
            if before is not None:
                old_group, old_order = index.group(before), index.order(before)
                if old_group == group and old_order == order:
                    continue
                self._take_out(groups, old_group, (old_order, key))
            if group is not None:
                if (ordered := groups.get(group)) is None:
                    ordered = groups[group] = Ordered()
                ordered.add((order, key))

    @cached_property
    def nothing(self) -> Table[K, V]:
        """A table like this one, to be left empty."""
        return Table(self.indexes)

    def group(self, index: Index[V], group: Hashable) -> Ordered[tuple[Any, K]]:
        """The rows of a group: pairs of order and key."""
        return self._groups[self.indexes.index(index)].get(group, _NOTHING)

    def groups(self, index: Index[V]) -> dict[Hashable, Ordered[tuple[Any, K]]]:
        """Every group of an index that has rows."""
        return self._groups[self.indexes.index(index)]

    @staticmethod
    def _take_out(
        groups: dict[Hashable, Ordered[tuple[Any, K]]], group: Hashable, entry: tuple[Any, K]
    ) -> None:
        if group is None:
            return
        ordered = groups[group]
        ordered.remove(entry)
        if not ordered:
            del groups[group]


class View(Generic[K, V]):
    """A table as one unit of work sees it: the committed rows, and an overlay that hides some.

    A writer's overlay holds the rows that it has changed and not yet committed. A reader's holds
    the rows that others have changed since the reader began, as they were before: `preserve` puts
    them there. So neither kind of unit of work ever copies a table.
    """

    def __init__(self, base: Table[K, V]) -> None:
        self._base = base
        self._over: Table[K, V] = base.nothing  # most views never hide anything
        self._absent: set[K] = set()  # rows that did not exist when the reader began

    def get(self, key: K) -> V | None:
        """The row under a key."""
        if (row := self._over.rows.get(key)) is not None:
            return row
        return None if key in self._absent else self._base.rows.get(key)

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row, for this view only."""
        if self._over is self._base.nothing:
            self._over = Table(self._base.indexes)
        self._over.put(key, row)

    def preserve(self, key: K, before: V | None) -> None:
        """Go on showing a row as it was (None: not at all), before the table changes."""
        if key in self._over.rows or key in self._absent:
            return
        if before is None:
            self._absent.add(key)
        else:
            self.put(key, before)

    def changes(self) -> ItemsView[K, V]:
        """What a writer has put."""
        return self._over.rows.items()

    def rows(self) -> Iterator[V]:
        """Every row, in no particular order."""
        for key, row in self._base.rows.items():
            if not self._hides(key):
                yield row
        yield from self._over.rows.values()

    def ascending(self, index: Index[V], group: Hashable, start: Position = ()) -> Iterator[V]:
        """The rows of a group in order, from `start` on."""
        entries = merge(
            self._seen(self._base.group(index, group).ascending(start)),
            self._over.group(index, group).ascending(start),
        )
        return self._rows_of(entries)

    def descending(
        self, index: Index[V], groups: Sequence[Hashable], end: Position | None = None
    ) -> Iterator[V]:
        """The rows of several groups together, in reverse order, those below `end`."""
        entries = merge(
            *(self._seen(self._base.group(index, group).descending(end)) for group in groups),
            *(self._over.group(index, group).descending(end) for group in groups),
            reverse=True,
        )
        return self._rows_of(entries)

    def groups(self, index: Index[V]) -> set[Any]:
        """The groups that may have rows; one whose rows are all hidden may be among them."""
        return {*self._base.groups(index), *self._over.groups(index)}

    def counts(self, index: Index[V]) -> Counter[Any]:
        """How many rows each group has."""
        counts: Counter[Any] = Counter()
        for groups in (self._base.groups(index), self._over.groups(index)):
            for group, ordered in groups.items():
                counts[group] += len(ordered)
        for key in (*self._over.rows, *self._absent):
            if (hidden := self._base.rows.get(key)) is not None:
                counts[index.group(hidden)] -= 1
        return counts

    def _hides(self, key: K) -> bool:
        return key in self._over.rows or key in self._absent

    def _seen(self, entries: Iterator[tuple[Any, K]]) -> Iterator[tuple[Any, K]]:
        if not self._over.rows and not self._absent:
            return entries
        return (entry for entry in entries if not self._hides(entry[1]))

    def _rows_of(self, entries: Iterator[tuple[Any, K]]) -> Iterator[V]:
        over, base = self._over.rows, self._base.rows
        for _, key in entries:
            yield over[key] if key in over else base[key]
