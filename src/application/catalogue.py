"""The catalogue: what is known of every task by its name, in this process or in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cueline.application.ports.persistence import Store
from cueline.application.ports.runtime import Clock
from cueline.domain.definition import TaskDefinition

FRESH = timedelta(seconds=2)
"""How long what was read from the store is trusted before an unknown name is looked for again."""


class Catalogue:
    """Finds task definitions: those of the application loaded here first, then the store's.

    An API node or a command line without the application thus refuses the same inputs, in the same
    words, as the worker that has the handlers.
    """

    def __init__(self, store: Store, clock: Clock, local: Sequence[TaskDefinition]) -> None:
        self._store = store
        self._clock = clock
        self._local = {definition.name: definition for definition in local}
        self._stored: Mapping[str, TaskDefinition] = {}
        self._read_at: datetime | None = None

    async def register(self) -> None:
        """Make the definitions of the application loaded here known to every process."""
        if not self._local:
            return
        async with self._store.write() as uow:
            await uow.definitions.put_many(list(self._local.values()))
            await uow.commit()

    async def find(self, name: str) -> TaskDefinition | None:
        """The definition of a task, or None if no application has registered it."""
        if (definition := self._local.get(name)) is not None:
            return definition
        now = self._clock.now()
        if self._read_at is None or now - self._read_at >= FRESH:
            async with self._store.read() as uow:
                stored = await uow.definitions.list_all()
            self._stored = {definition.name: definition for definition in stored}
            self._read_at = now
        return self._stored.get(name)

    async def names(self) -> list[str]:
        """Every known name, in order."""
        await self.find("")
        return sorted({*self._local, *self._stored})
