"""The runs in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import islice

from cueline.application.ports.persistence import RunRepository
from cueline.application.ports.questions import Page, RunFilter
from cueline.domain.errors import Conflict, Outdated
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId
from cueline.domain.task import Task
from cueline.domain.workflow.run import Run
from cueline.infrastructure.memory.copying import copy_of_event, copy_of_run, copy_of_workflow
from cueline.infrastructure.memory.tables import (
    HISTORY_BY_RUN,
    RUNS_BY_KEY,
    RUNS_BY_STANDING,
    Access,
)


class MemoryRuns(RunRepository):
    """The runs and their histories.

    There is one writer at a time, so locking a run has nothing to do but to remember that it was
    done; saving one that was not locked is refused, as a reminder for stores where it matters.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._locked: set[RunId] = set()

    async def add_many(self, runs: Sequence[Run]) -> set[RunId]:
        rows = self._access.change().runs
        added: set[RunId] = set()
        for run in runs:
            taken = run.key is not None and any(rows.ascending(RUNS_BY_KEY, run.key))
            if not taken and rows.get(run.id) is None:
                own = replace(copy_of_run(run), workflow=copy_of_workflow(run.workflow))
                rows.put(run.id, own)
                added.add(run.id)
        return added

    async def lock_many(self, ids: Collection[RunId]) -> list[Run]:
        rows = self._access.change().runs
        found = [run for id in sorted(set(ids)) if (run := rows.get(id)) is not None]
        self._locked.update(run.id for run in found)
        return [copy_of_run(run) for run in found]

    async def suppose(self, runs: Sequence[Run]) -> None:
        rows = self._access.change().runs
        for run in runs:
            held = rows.get(run.id)
            if held is None or held.version != run.version:
                raise Outdated("a run has moved on")
        self._locked.update(run.id for run in runs)

    async def get_many(self, ids: Collection[RunId]) -> list[Run]:
        rows = self._access.look().runs
        found = (rows.get(id) for id in dict.fromkeys(ids))
        return [copy_of_run(run) for run in found if run is not None]

    async def of_claimed(self, tasks: Collection[Task]) -> list[Run]:
        rows = self._access.look().runs
        origins = (task.spec.origin for task in tasks)
        found = (rows.get(origin.run_id) for origin in origins if origin is not None)
        return [copy_of_run(run) for run in found if run is not None and run.active == 1]

    async def by_keys(self, keys: Collection[str]) -> list[Run]:
        rows = self._access.look().runs
        return [
            copy_of_run(run)
            for key in dict.fromkeys(keys)
            for run in rows.ascending(RUNS_BY_KEY, key)
        ]

    async def save_many(self, runs: Sequence[Run]) -> None:
        rows = self._access.change().runs
        for run in runs:
            held = rows.get(run.id)
            if held is None or run.id not in self._locked:
                raise RuntimeError(f"run {run.id} was not locked in this unit of work")
            rows.put(run.id, replace(copy_of_run(run), workflow=held.workflow))

    async def search(self, wanted: RunFilter, page: Page) -> list[Run]:
        rows = self._access.look().runs
        groups = [
            (workflow, state)
            for workflow, state in rows.groups(RUNS_BY_STANDING)
            if (wanted.workflow is None or workflow == wanted.workflow)
            and (not wanted.states or state in wanted.states)
        ]
        end = None if page.after is None else (page.after,)
        found = rows.descending(RUNS_BY_STANDING, groups, end)
        return [copy_of_run(run) for run in islice(found, page.limit)]

    async def append_history(self, events: Sequence[Event]) -> None:
        rows = self._access.change().history
        for event in events:
            if rows.get((event.id, event.sequence)) is not None:
                raise Conflict(f"the history of {event.id} has an entry {event.sequence} already")
            rows.put((event.id, event.sequence), copy_of_event(event))

    async def history(self, run_id: RunId, after: int, limit: int) -> list[Event]:
        rows = self._access.look().history
        found = rows.ascending(HISTORY_BY_RUN, run_id, (after + 1,))
        return [copy_of_event(event) for event in islice(found, limit)]
