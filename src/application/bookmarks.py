"""Where looks at what is due begin, when it has become dear to begin at the beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from cueline.application.ports.persistence import TaskRepository
from cueline.application.ports.questions import Claimant, DueTask, Since, Taken, earliest
from cueline.application.rationing import Ration
from cueline.domain.task import Priority

GRACE = timedelta(seconds=2)
"""How long before a look a task may have fallen due that is committed only after it."""

CHEAP = 0.005
"""A look that takes no longer is not rationed, in seconds. Little is missed by one that is."""


class _Bookmark:
    """Where the next look into one queue begins, for each priority."""

    def __init__(self) -> None:
        self._ration = Ration(CHEAP)
        self._since: dict[Priority, datetime] = {}

    @contextmanager
    def opened(self) -> Iterator[Mapping[Priority, datetime]]:
        """From where to look: from the beginning, unless that is dear."""
        if self._ration.is_resting:
            yield self._since
        else:
            with self._ration.measured():
                yield {}
            self._since = {}  # of no use any more, unless that failed

    def put(
        self, found: int, limit: int, now: datetime, earliest: Since, urgency: Priority
    ) -> None:
        """Begin with the earliest of what was found, and a little before now at the latest.

        What is less urgent than `urgency` was not looked at; nor, if the limit was filled, what is
        less urgent than the last that was found.
        """
        seen_to = urgency if found < limit else max(earliest, default=urgency)
        for priority in Priority:
            if priority in earliest:
                self._since[priority] = min(earliest[priority], now - GRACE)
            elif priority <= seen_to:
                self._since.setdefault(priority, now - GRACE)


class Bookmarks:
    """What is due in a queue, from the beginning, or from where the last look had come to.

    In PostgreSQL what was taken keeps its place in the index until no open transaction can see it
    any more. While one is held open, a look from the beginning reads all that was taken since, and
    soon takes longer than the work. So one that was dear is not repeated at once: those that follow
    begin with the earliest that is known to be left. What falls due before that, as by a clock that
    is slow, is found by the next look from the beginning, after ten seconds at most.
    """

    def __init__(self) -> None:
        self._bookmarks: dict[str, _Bookmark] = {}

    async def due(
        self, tasks: TaskRepository, queue: str, now: datetime, limit: int
    ) -> list[DueTask]:
        """`TaskRepository.due`."""
        bookmark = self._of(queue)
        with bookmark.opened() as since:
            found = await tasks.due(queue, now, limit, since)
        bookmark.put(len(found), limit, now, earliest(found), Priority.LOW)
        return found

    async def claim_due(
        self,
        tasks: TaskRepository,
        queue: str,
        claimant: Claimant,
        now: datetime,
        limit: int,
        urgency: Priority,
    ) -> Taken:
        """`TaskRepository.claim_due`.

        Who got nothing has learned nothing: it may not be live.
        """
        bookmark = self._of(queue)
        with bookmark.opened() as since:
            taken = await tasks.claim_due(queue, claimant, now, limit, urgency, since)
        if taken.claimed:
            bookmark.put(taken.found, limit, now, taken.earliest, urgency)
        return taken

    def _of(self, queue: str) -> _Bookmark:
        return self._bookmarks.setdefault(queue, _Bookmark())
