"""What handlers log and report as progress, until it is written."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence

from cueline.application.context import Report
from cueline.application.ports.journal import LogEntry
from cueline.application.ports.runtime import Clock
from cueline.application.workers import RecordLogs
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task

log = logging.getLogger(__name__)


class Reports:
    """Log lines in the order in which they came. Whoever takes them writes or returns them."""

    def __init__(self, record: RecordLogs, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        self._entries: deque[LogEntry] = deque()
        self._flushing = asyncio.Lock()

    def add(self, task: Task, report: Report) -> None:
        """Note what a handler reports. Called by handlers, from any thread."""
        now = self._clock.now()
        entry = LogEntry(task.id, task.attempt, now, report.level, report.message, report.fields)
        self._entries.append(entry)

    async def take(self, tasks: Collection[TaskId]) -> list[LogEntry]:
        """Take those of tasks that are to be settled: none may end before its lines are written.

        So it waits for a flush that is under way, which writes its lines or puts them back.
        """
        if self._flushing.locked():
            async with self._flushing:
                pass
        entries = self._take()
        self.put_back([entry for entry in entries if entry.task_id not in tasks])
        return [entry for entry in entries if entry.task_id in tasks]

    def put_back(self, entries: Sequence[LogEntry]) -> None:
        """Return what could not be written, before what has come since."""
        self._entries.extendleft(reversed(entries))

    async def flush(self) -> None:
        """Write all there are. What the store cannot take now is kept for the next time."""
        async with self._flushing:
            await self._flush()

    def _take(self) -> list[LogEntry]:
        return [self._entries.popleft() for _ in range(len(self._entries))]

    async def _flush(self) -> None:
        entries = self._take()
        try:
            await self._record(entries)
        except Unavailable as error:
            log.warning("%d log lines not written yet: %s", len(entries), error)
            self.put_back(entries)
        except Exception:
            log.exception("%d log lines not written together", len(entries))
            await self._flush_singly(entries)
        except BaseException:  # cancelled at the stop: the goodbye writes them
            self.put_back(entries)
            raise

    async def _flush_singly(self, entries: Sequence[LogEntry]) -> None:
        """Write the lines one by one: a line that no store will take must not keep the others."""
        for number, entry in enumerate(entries):
            try:
                await self._record([entry])
            except Unavailable as error:
                log.warning("%d log lines not written yet: %s", len(entries) - number, error)
                self.put_back(entries[number:])
                return
            except Exception:
                log.exception("a log line of task %s is lost", entry.task_id)
            except BaseException:
                self.put_back(entries[number:])
                raise
