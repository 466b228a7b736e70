"""A store in memory: the shortest complete one, and the measure for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from cueline.application.ports.capabilities import Reach, StoreCapabilities
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.domain.errors import InvalidInput, Problem
from cueline.infrastructure.memory.catalogue import MemoryDefinitions, MemoryWorkflows
from cueline.infrastructure.memory.fleet import MemoryQueues, MemoryWorkers
from cueline.infrastructure.memory.journal import MemoryJournal
from cueline.infrastructure.memory.runs import MemoryRuns
from cueline.infrastructure.memory.tables import Access, Phase, Tables, Views
from cueline.infrastructure.memory.tasks import MemoryTasks


class MemoryStore(Store):
    """Keeps everything in this process and forgets it with it.

    One writer at a time, from entering to leaving, as in a database with a single writer; any
    number of readers beside it, each of which sees what was committed when it began.
    """

    capabilities = StoreCapabilities(Reach.PROCESS, is_durable=False, joins_transactions=False)

    def __init__(self) -> None:
        self._tables = Tables()
        self._writing = asyncio.Lock()
        self._readers: set[_Reading] = set()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close: what is stored lasts as long as this object."""

    def write(self, *, durable: bool = True) -> UnitOfWork:
        return _Writing(self)

    def read(self) -> UnitOfWork:
        return _Reading(self)

    async def prepare_to_join(self, queues: Collection[str]) -> None:
        """Nothing: there is no joining."""

    def join(self, transaction: object, committed: Callable[[], None]) -> UnitOfWork:
        raise InvalidInput(
            "the session cannot be used",
            [Problem("session", "the memory store takes part in no transaction: use a database")],
        )

    def _apply(self, views: Views) -> None:
        """Make a writer's changes the committed state, behind the backs of the present readers."""
        for number, (table, view) in enumerate(zip(self._tables.all, views.all, strict=True)):
            looking = [reader.snapshot.all[number] for reader in self._readers]
            for key, row in view.changes():
                for seen in looking:
                    seen.preserve(key, table.rows.get(key))
                table.put(key, row)


class _MemoryUnitOfWork(UnitOfWork):
    """What both kinds of units of work have in common: the repositories and the store's inside."""

    def __init__(self, store: MemoryStore, *, writable: bool) -> None:
        self._store = store
        self._access = Access(writable=writable)
        self.tasks = MemoryTasks(self._access)
        self.runs = MemoryRuns(self._access)
        self.workflows = MemoryWorkflows(self._access)
        self.definitions = MemoryDefinitions(self._access)
        self.queues = MemoryQueues(self._access)
        self.workers = MemoryWorkers(self._access)
        self.journal = MemoryJournal(self._access)


class _Writing(_MemoryUnitOfWork):
    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, writable=True)

    async def __aenter__(self) -> Self:
        await self._store._writing.acquire()
        try:
            self._access.begin(Views(self._store._tables))
        except BaseException:
            self._store._writing.release()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._access.end(Phase.LEFT)
        self._store._writing.release()

    async def commit(self) -> None:
        views = self._access.change()
        self._access.end(Phase.COMMITTED)
        self._store._apply(views)


class _Reading(_MemoryUnitOfWork):
    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, writable=False)
        self.snapshot = Views(store._tables)

    async def __aenter__(self) -> Self:
        self._access.begin(self.snapshot)
        self._store._readers.add(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._access.end(Phase.LEFT)
        self._store._readers.discard(self)

    async def commit(self) -> None:
        self._access.change()
