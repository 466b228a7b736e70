"""A task as a row and back, column by column: the hot path has no time for reflection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from cueline.domain.identifiers import Purpose, RunId, TaskId, WorkerId
from cueline.domain.json import Json
from cueline.domain.task import Origin, Priority, Task, TaskSpec, TaskState
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.types import (
    count_of,
    from_microseconds,
    moment_of,
    to_microseconds,
)

SPEC_COLUMNS = (
    "id",
    "name",
    "queue",
    "priority",
    "input",
    "created_at",
    "retry",
    "timeout",
    "key",
    "tags",
    "run_id",
    "step",
    "purpose",
)
STATE_COLUMNS = (
    "state",
    "version",
    "run_at",
    "dispatch_at",
    "dispatches",
    "attempt",
    "failures",
    "worker_id",
    "started_at",
    "ended_at",
    "output",
    "failure",
)
COLUMNS = SPEC_COLUMNS + STATE_COLUMNS

_PRIORITIES = {priority.value: priority for priority in Priority}
_STATES = {state.value: state for state in TaskState}


def spec_values(spec: TaskSpec) -> list[Any]:
    """The values of `SPEC_COLUMNS`."""
    origin = spec.origin
    return [
        spec.id,
        spec.name,
        spec.queue,
        spec.priority.value,
        orjson.dumps(spec.input).decode(),
        to_microseconds(spec.created_at),
        rows.retry_document(spec.retry),
        None if spec.timeout is None else spec.timeout.total_seconds(),
        spec.key,
        orjson.dumps(spec.tags).decode() if spec.tags else None,
        None if origin is None else origin.run_id,
        None if origin is None else origin.step,
        None if origin is None else origin.purpose.value,
    ]


def state_values(task: Task) -> list[Any]:
    """The values of `STATE_COLUMNS`."""
    return [
        task.state.value,
        task.version,
        to_microseconds(task.run_at),
        count_of(task.dispatch_at),
        task.dispatches,
        task.attempt,
        task.failures,
        task.worker_id,
        count_of(task.started_at),
        count_of(task.ended_at),
        None if task.output is None else orjson.dumps(task.output).decode(),
        rows.json_text(rows.failure_document(task.failure)) if task.failure else None,
    ]


def task_of(row: Sequence[Any]) -> Task:
    """The task that a row of `COLUMNS` holds, whatever follows them."""
    (
        id,
        name,
        queue,
        priority,
        input,
        created_at,
        retry,
        timeout,
        key,
        tags,
        run_id,
        step,
        purpose,
        state,
        version,
        run_at,
        dispatch_at,
        dispatches,
        attempt,
        failures,
        worker_id,
        started_at,
        ended_at,
        output,
        failure,
        *_,
    ) = row
    spec = TaskSpec(
        id=TaskId(id),
        name=name,
        input=orjson.loads(input),
        created_at=from_microseconds(created_at),
        queue=queue,
        priority=_PRIORITIES[priority],
        retry=rows.retry_policy(retry),
        timeout=None if timeout is None else timedelta(seconds=timeout),
        key=key,
        tags=() if tags is None else tuple(orjson.loads(tags)),
        origin=None if run_id is None else Origin(RunId(run_id), step, Purpose(purpose)),
    )
    return Task(
        spec=spec,
        run_at=from_microseconds(run_at),
        dispatch_at=moment_of(dispatch_at),
        state=_STATES[state],
        version=version,
        dispatches=dispatches,
        attempt=attempt,
        failures=failures,
        worker_id=None if worker_id is None else WorkerId(worker_id),
        started_at=moment_of(started_at),
        ended_at=moment_of(ended_at),
        output=_json(output),
        failure=rows.failure(_object(failure)),
    )


def _json(text: str | None) -> Json:
    value: Json = None if text is None else orjson.loads(text)
    return value


def _object(text: str | None) -> dict[str, Any] | None:
    value: dict[str, Any] | None = None if text is None else orjson.loads(text)
    return value
