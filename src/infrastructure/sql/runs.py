"""The runs of workflows, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, select, update

from cueline.application.ports.persistence import Page, RunFilter, RunRepository
from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import RunId
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run, RunState, StepRun, StepState
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.session import AnyRow, Session, chunks
from cueline.infrastructure.sql.tables import run_events, run_steps, runs

_STATE_COLUMNS = (
    "state",
    "version",
    "remaining",
    "active",
    "completions",
    "events",
    "cancelled",
    "output",
    "failure",
    "ended_at",
)

_SAVE = (
    update(runs)
    .where(runs.c.id == bindparam("the_id"))
    .values({name: bindparam(name) for name in _STATE_COLUMNS})
)

_STEP_COLUMNS = (
    "state",
    "starts",
    "undo_starts",
    "started_at",
    "ended_at",
    "completed",
    "output",
    "failure",
)


class SqlRuns(RunRepository):
    """A run is a row, and a row for each step that has begun; only what changed is written."""

    def __init__(self, session: Session, documents: Documents) -> None:
        self._session = session
        self._documents = documents
        self._locked: dict[RunId, Run] = {}

    async def add_many(self, new: Sequence[Run]) -> set[RunId]:
        if not new:
            return set()
        digests = await self._documents.put_many([run.workflow for run in new])
        result = await self._session.execute(
            self._session.insert(runs).on_conflict_do_nothing().returning(runs.c.id),
            [_run_row(run, digest) for run, digest in zip(new, digests, strict=True)],
        )
        added = {RunId(row.id) for row in result}
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
        found = await self._select(
            select(runs).order_by(runs.c.id).with_for_update(), runs.c.id, sorted(ids)
        )
        self._locked.update((run.id, run) for run in found)
        return found

    async def get_many(self, ids: Collection[RunId]) -> list[Run]:
        return await self._select(select(runs), runs.c.id, ids)

    async def by_keys(self, keys: Collection[str]) -> list[Run]:
        return await self._select(select(runs), runs.c.key, keys)

    async def save_many(self, changed: Sequence[Run]) -> None:
        if not changed:
            return
        await self._session.execute(
            _SAVE, [{"the_id": run.id, **_state_row(run)} for run in changed]
        )
        await self._write_steps(
            [
                (run.id, step)
                for run in changed
                for step in run.steps.values()
                if step is not self._locked[run.id].steps[step.name]
            ]
        )
        self._locked.update((run.id, run) for run in changed)

    async def search(self, wanted: RunFilter, page: Page) -> list[Run]:
        query = select(runs)
        if wanted.states:
            query = query.where(runs.c.state.in_([state.value for state in wanted.states]))
        if wanted.workflow is not None:
            query = query.where(runs.c.workflow == wanted.workflow)
        if page.after is not None:
            query = query.where(runs.c.id < page.after)
        result = await self._session.scan(query.order_by(runs.c.id.desc()).limit(page.limit))
        return await self._with_steps(list(result))

    async def append_history(self, events: Sequence[Event]) -> None:
        if events:
            await self._session.execute(
                self._session.insert(run_events),
                [
                    {
                        "run_id": event.id,
                        "sequence": event.sequence,
                        "at": event.at,
                        "type": event.type,
                        "data": event.data,
                    }
                    for event in events
                ],
            )

    async def history(self, run_id: RunId, after: int, limit: int) -> list[Event]:
        result = await self._session.execute(
            select(run_events)
            .where(run_events.c.run_id == run_id, run_events.c.sequence > after)
            .order_by(run_events.c.sequence)
            .limit(limit)
        )
        return [
            Event(Subject.RUN, row.run_id, row.sequence, row.type, row.at, row.data)
            for row in result
        ]

    async def _select(self, query: Select[Any], column: Any, values: Collection[str]) -> list[Run]:
        found: list[AnyRow] = []
        for chunk in chunks(list(values)):
            found.extend(await self._session.execute(query.where(column.in_(chunk))))
        return await self._with_steps(found)

    async def _with_steps(self, found: Sequence[AnyRow]) -> list[Run]:
        if not found:
            return []
        steps: dict[str, dict[str, StepRun]] = {row.id: {} for row in found}
        for chunk in chunks(list(steps)):
            result = await self._session.execute(
                select(run_steps).where(run_steps.c.run_id.in_(chunk))
            )
            for row in result:
                steps[row.run_id][row.name] = _step(row)
        workflows = await self._documents.shared({row.digest for row in found})
        return [_run(row, workflows[row.digest], steps[row.id]) for row in found]

    async def _write_steps(self, changed: Sequence[tuple[RunId, StepRun]]) -> None:
        if not changed:
            return
        insert = self._session.insert(run_steps)
        await self._session.execute(
            insert.on_conflict_do_update(
                index_elements=["run_id", "name"],
                set_={name: insert.excluded[name] for name in _STEP_COLUMNS},
            ),
            [_step_row(run_id, step) for run_id, step in changed],
        )


def _run_row(run: Run, digest: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow": run.workflow.name,
        "digest": digest,
        "input": run.input,
        "created_at": run.created_at,
        "key": run.key,
        **_state_row(run),
    }


def _state_row(run: Run) -> dict[str, Any]:
    return {
        "state": run.state.value,
        "version": run.version,
        "remaining": run.remaining,
        "active": run.active,
        "completions": run.completions,
        "events": run.events,
        "cancelled": run.cancelled,
        "output": run.output,
        "failure": rows.failure_document(run.failure),
        "ended_at": run.ended_at,
    }


def _step_row(run_id: RunId, step: StepRun) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "name": step.name,
        "state": step.state.value,
        "starts": step.starts,
        "undo_starts": step.undo_starts,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
        "completed": step.completed,
        "output": step.output,
        "failure": rows.failure_document(step.failure),
    }


def _step(row: AnyRow) -> StepRun:
    return StepRun(
        name=row.name,
        state=StepState(row.state),
        starts=row.starts,
        undo_starts=row.undo_starts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        completed=row.completed,
        output=row.output,
        failure=rows.failure(row.failure),
    )


def _run(row: AnyRow, workflow: Workflow, begun: dict[str, StepRun]) -> Run:
    return Run(
        id=RunId(row.id),
        workflow=workflow,
        input=row.input,
        created_at=row.created_at,
        remaining=row.remaining,
        state=RunState(row.state),
        version=row.version,
        steps={step.name: begun.get(step.name) or StepRun(step.name) for step in workflow.steps},
        active=row.active,
        completions=row.completions,
        events=row.events,
        cancelled=row.cancelled,
        output=row.output,
        failure=rows.failure(row.failure),
        ended_at=row.ended_at,
        key=row.key,
    )
