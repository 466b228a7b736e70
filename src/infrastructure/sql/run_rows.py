"""A run, its steps and its history as rows and back, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import RunId
from cueline.domain.json import Json
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run, RunState, StepRun, StepState
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.types import (
    count_of,
    from_microseconds,
    moment_of,
    to_microseconds,
)

SPEC_COLUMNS = ("id", "workflow", "digest", "input", "created_at", "key")
STATE_COLUMNS = (
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
RUN_COLUMNS = SPEC_COLUMNS + STATE_COLUMNS
STEP_COLUMNS = (
    "run_id",
    "name",
    "state",
    "starts",
    "undo_starts",
    "started_at",
    "ended_at",
    "completed",
    "output",
    "failure",
)
EVENT_COLUMNS = ("run_id", "sequence", "at", "type", "data")


def spec_values(run: Run, digest: str) -> list[Any]:
    """The values of `SPEC_COLUMNS`."""
    return [
        run.id,
        run.workflow.name,
        digest,
        _text(run.input),
        to_microseconds(run.created_at),
        run.key,
    ]


def state_values(run: Run) -> list[Any]:
    """The values of `STATE_COLUMNS`."""
    return [
        run.state.value,
        run.version,
        run.remaining,
        run.active,
        run.completions,
        run.events,
        run.cancelled,
        _text(run.output),
        _text(rows.failure_document(run.failure)),
        count_of(run.ended_at),
    ]


def step_values(run_id: RunId, step: StepRun) -> list[Any]:
    """The values of `STEP_COLUMNS`."""
    return [
        run_id,
        step.name,
        step.state.value,
        step.starts,
        step.undo_starts,
        count_of(step.started_at),
        count_of(step.ended_at),
        step.completed,
        _text(step.output),
        _text(rows.failure_document(step.failure)),
    ]


def event_values(event: Event) -> list[Any]:
    """The values of `EVENT_COLUMNS`."""
    return [
        event.id,
        event.sequence,
        to_microseconds(event.at),
        event.type,
        orjson.dumps(event.data).decode(),
    ]


def step_of(row: Sequence[Any]) -> StepRun:
    """The step that a row of `STEP_COLUMNS` holds."""
    _, name, state, starts, undo_starts, started_at, ended_at, completed, output, failure = row
    return StepRun(
        name=name,
        state=StepState(state),
        starts=starts,
        undo_starts=undo_starts,
        started_at=moment_of(started_at),
        ended_at=moment_of(ended_at),
        completed=completed,
        output=_json(output),
        failure=rows.failure(_json(failure)),
    )


def run_of(row: Sequence[Any], workflow: Workflow, begun: Mapping[str, StepRun]) -> Run:
    """The run that a row of `RUN_COLUMNS` holds, with those of its steps that have begun."""
    id, _, _, input, created_at, key, state, version, remaining, active, *rest = row
    completions, events, cancelled, output, failure, ended_at = rest
    return Run(
        id=RunId(id),
        workflow=workflow,
        input=_json(input),
        created_at=from_microseconds(created_at),
        remaining=remaining,
        state=RunState(state),
        version=version,
        steps={step.name: begun.get(step.name) or StepRun(step.name) for step in workflow.steps},
        active=active,
        completions=completions,
        events=events,
        cancelled=cancelled,
        output=_json(output),
        failure=rows.failure(_json(failure)),
        ended_at=moment_of(ended_at),
        key=key,
    )


def event_of(row: Sequence[Any]) -> Event:
    """The entry of a history that a row of `EVENT_COLUMNS` holds."""
    run_id, sequence, at, type, data = row
    return Event(Subject.RUN, run_id, sequence, type, from_microseconds(at), orjson.loads(data))


def _text(value: Json | Mapping[str, Any]) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
