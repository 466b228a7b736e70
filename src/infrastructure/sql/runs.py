"""The runs of workflows, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cueline.application.ports.persistence import RunRepository
from cueline.application.ports.questions import Page, RunFilter
from cueline.domain.errors import Outdated
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId
from cueline.domain.task import Task
from cueline.domain.workflow.run import Run, StepRun, StepState
from cueline.infrastructure.sql import run_statements as statements
from cueline.infrastructure.sql.among import these
from cueline.infrastructure.sql.batches import Line
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.nested import rows_of
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.run_rows import (
    RUN_COLUMNS,
    event_of,
    event_values,
    run_of,
    spec_values,
    state_values,
    step_of,
    step_values,
)
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.tables import runs

_VERSION = RUN_COLUMNS.index("version")


class SqlRuns(RunRepository):
    """A run is a row, and a row for each step that has begun; only what changed is written."""

    def __init__(self, session: Session, documents: Documents) -> None:
        self._session = session
        self._documents = documents
        self._begun: dict[RunId, Run] = {}  # those that are locked, or supposed, as they were
        self._supposed: set[RunId] = set()
        self._came_along: dict[str, Line] = {}  # rows, each with its steps

    async def add_many(self, new: Sequence[Run]) -> set[RunId]:
        if not new:
            return set()
        digests = await self._documents.put_many([run.workflow for run in new])
        values = [
            (*spec_values(run, digest), *state_values(run))
            for run, digest in zip(new, digests, strict=True)
        ]
        written = await self._session.write_each(statements.ADD, values)
        added = {run.id for run, was_new in zip(new, written, strict=True) if was_new}
        await self._write_steps(
            [
                (run.id, step)
                for run in new
                if run.id in added
                for step in run.steps.values()
                if step.state is not StepState.WAITING
            ]
        )
        return added

    async def lock_many(self, ids: Collection[RunId]) -> list[Run]:
        if not ids:
            return []
        found = await self._session.fetch(statements.LOCK, these(ids))
        begun = {row[0]: rows_of(row[-2]) for row in found}
        if late := [row[0] for row in found if row[-1] != row[_VERSION]]:
            begun |= await self._steps_of(late)
        locked = await self._put_together([row[:-2] for row in found], begun)
        self._begun.update((run.id, run) for run in locked)
        return locked

    async def suppose(self, supposed: Sequence[Run]) -> None:
        """Nothing is asked: whether they are still so is seen when they are saved."""
        self._begun.update((run.id, run) for run in supposed)
        self._supposed.update(run.id for run in supposed)

    async def get_many(self, ids: Collection[RunId]) -> list[Run]:
        return await self._select(statements.BY_IDS, ids)

    def note_read(self, rows: Iterable[Line]) -> None:
        """Rows of `WITH_STEPS` that came along with others."""
        self._came_along.update((row[0], row) for row in rows)

    async def of_claimed(self, tasks: Collection[Task]) -> list[Run]:
        origins = {task.spec.origin.run_id for task in tasks if task.spec.origin is not None}
        rows = (self._came_along[id] for id in origins & self._came_along.keys())
        return [run for row in rows if (run := self._at_hand(row)) is not None]

    def _at_hand(self, row: Line) -> Run | None:
        """The run of a row of `WITH_STEPS`, if nothing has to be asked for and it can be read."""
        if (workflow := self._documents.at_hand(row[2])) is None:
            return None
        try:
            return run_of(row[:-1], workflow, _by_name(rows_of(row[-1])))
        except (ValueError, LookupError, TypeError, OverflowError):
            return None  # a later version wrote it: whoever has to read it will say so

    async def by_keys(self, keys: Collection[str]) -> list[Run]:
        return await self._select(statements.BY_KEYS, keys)

    async def save_many(self, changed: Sequence[Run]) -> None:
        if not changed:
            return
        rows = [(*state_values(run), run.id, self._begun[run.id].version) for run in changed]
        if self._supposed.isdisjoint(run.id for run in changed):
            await self._session.write_many(statements.SAVE, rows)
        elif not all(await self._session.write_each(statements.SAVE, rows)):
            raise Outdated("a run has moved on")
        await self._write_steps(
            [
                (run.id, step)
                for run in changed
                for step in run.steps.values()
                if step is not self._begun[run.id].steps[step.name]
            ]
        )
        self._begun.update((run.id, run) for run in changed)

    async def search(self, wanted: RunFilter, page: Page) -> list[Run]:
        query = statements.WITH_STEPS
        if wanted.states:
            query = query.where(runs.c.state.in_([state.value for state in wanted.states]))
        if wanted.workflow is not None:
            query = query.where(runs.c.workflow == wanted.workflow)
        if page.after is not None:
            query = query.where(runs.c.id < page.after)
        result = await self._session.scan(query.order_by(runs.c.id.desc()).limit(page.limit))
        return await self._with_steps(result.rows)

    async def append_history(self, events: Sequence[Event]) -> None:
        if events:
            await self._session.write_many(
                statements.ADD_EVENTS, [event_values(event) for event in events]
            )

    async def history(self, run_id: RunId, after: int, limit: int) -> list[Event]:
        wanted = {"the_run": run_id, "after": after, "the_limit": limit}
        return [event_of(row) for row in await self._session.fetch(statements.HISTORY, wanted)]

    async def _select(self, query: Query, values: Collection[str]) -> list[Run]:
        if not values:
            return []
        return await self._with_steps(await self._session.fetch(query, these(values)))

    async def _with_steps(self, found: Sequence[Any]) -> list[Run]:
        begun = {row[0]: rows_of(row[-1]) for row in found}
        return await self._put_together([row[:-1] for row in found], begun)

    async def _steps_of(self, ids: Collection[str]) -> dict[str, list[Line]]:
        """The rows of the steps that have begun, by run."""
        begun: dict[str, list[Line]] = {id: [] for id in ids}
        for row in await self._session.fetch(statements.STEPS, these(ids)):
            begun[row[0]].append(row)
        return begun

    async def _put_together(
        self, found: Sequence[Line], begun: Mapping[str, Sequence[Line]]
    ) -> list[Run]:
        workflows = await self._documents.shared({row[2] for row in found})
        return [run_of(row, workflows[row[2]], _by_name(begun[row[0]])) for row in found]

    async def _write_steps(self, changed: Sequence[tuple[RunId, StepRun]]) -> None:
        if changed:
            await self._session.write_many(
                statements.PUT_STEPS, [step_values(run_id, step) for run_id, step in changed]
            )


def _by_name(rows: Sequence[Line]) -> dict[str, StepRun]:
    return {step.name: step for step in map(step_of, rows)}
