"""The locks of the simulated database: on rows, or on the whole of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import TypeAlias

from cueline.domain.errors import Unavailable

Row: TypeAlias = tuple[Hashable, ...]
"""What is locked: a table's name and a key in it."""


class Deadlock(Unavailable):
    """Two transactions wait for one another; this one gives way, as a database has it."""

    def __init__(self) -> None:
        super().__init__("the store", "a deadlock was broken")


class Locks:
    """Exclusive locks, each held until its transaction ends; who waits is served in order."""

    def __init__(self) -> None:
        self._holders: dict[Row, object] = {}
        self._held: dict[object, list[Row]] = {}
        self._queues: dict[Row, deque[tuple[object, asyncio.Future[None]]]] = {}
        self._wanted: dict[object, Row] = {}
        self.waits = 0
        self.deadlocks = 0

    def is_free(self, row: Row, owner: object) -> bool:
        """Whether the owner could have the row without waiting."""
        return self._holders.get(row, owner) is owner

    async def acquire(self, row: Row, owner: object) -> None:
        """Lock a row; wait for it if need be. `Deadlock` if that would be for ever."""
        holder = self._holders.get(row)
        if holder is owner:
            return
        if holder is None:
            self._grant(row, owner)
            return
        self.waits += 1
        if self._leads_back(row, owner):
            self.deadlocks += 1
            raise Deadlock
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (owner, turn)
        self._queues.setdefault(row, deque()).append(entry)
        self._wanted[owner] = row
        try:
            await turn
        finally:
            self._wanted.pop(owner, None)
            queue = self._queues.get(row)
            if queue is not None and entry in queue:
                queue.remove(entry)

    def release(self, owner: object) -> None:
        """The transaction has ended: its rows go to those who wait, and it waits no more."""
        if (wanted := self._wanted.pop(owner, None)) is not None:
            for waiting, turn in self._queues.get(wanted, ()):
                if waiting is owner and not turn.done():
                    turn.set_exception(Unavailable("the store", "the server ended the transaction"))
        for row in self._held.pop(owner, []):
            del self._holders[row]
            queue = self._queues.get(row)
            while queue:
                next_owner, turn = queue.popleft()
                if not turn.done():
                    self._grant(row, next_owner)
                    del self._wanted[next_owner]
                    turn.set_result(None)
                    break
            if not queue:
                self._queues.pop(row, None)

    def _grant(self, row: Row, owner: object) -> None:
        self._holders[row] = owner
        self._held.setdefault(owner, []).append(row)

    def _leads_back(self, row: Row, owner: object) -> bool:
        """Whether whoever holds the row waits, through others perhaps, for the owner."""
        wanted: Row | None = row
        while wanted is not None:
            holder = self._holders.get(wanted)
            if holder is owner:
                return True
            wanted = None if holder is None else self._wanted.get(holder)
        return False
