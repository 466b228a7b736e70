"""Queues, workers and the kinds of tasks that they know, as documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from cueline.application.queries import QueueDetail
from cueline.domain.definition import TaskDefinition
from cueline.domain.worker import Worker
from cueline.interfaces.documents.parts import RetryDocument, shown_retry
from cueline.interfaces.documents.states import COUNTED


class QueueDocument(TypedDict):
    """A queue, how many tasks it has by state, and who serves it.

    `in_broker` is the number of messages with the broker, null while the broker does not answer.
    """

    name: str
    paused: bool
    counts: dict[str, int]
    workers: int
    slots: int
    in_broker: int | None


class WorkerDocument(TypedDict):
    """A process that runs tasks. It is trusted until `lease_until`, which it keeps moving on."""

    id: str
    name: str
    state: str
    queues: list[str]
    slots: int
    started_at: datetime
    lease_until: datetime


class DefinitionDocument(TypedDict):
    """A kind of task; `schema` is the JSON Schema of its input."""

    name: str
    description: str
    queue: str
    priority: str
    retry: RetryDocument
    timeout: float | None
    schema: dict[str, Any]


def queue_document(detail: QueueDetail) -> QueueDocument:
    """Show a queue; a state without tasks counts zero."""
    return {
        "name": detail.queue.name,
        "paused": detail.queue.paused,
        "counts": {**dict.fromkeys(COUNTED, 0), **detail.counts},
        "workers": detail.workers,
        "slots": detail.slots,
        "in_broker": detail.in_broker,
    }


def worker_document(worker: Worker) -> WorkerDocument:
    """Show a worker."""
    return {
        "id": worker.id,
        "name": worker.name,
        "state": worker.state.value,
        "queues": list(worker.queues),
        "slots": worker.slots,
        "started_at": worker.started_at,
        "lease_until": worker.lease_until,
    }


def definition_document(definition: TaskDefinition) -> DefinitionDocument:
    """Show a kind of task."""
    return {
        "name": definition.name,
        "description": definition.description,
        "queue": definition.queue,
        "priority": definition.priority.label,
        "retry": shown_retry(definition.retry),
        "timeout": None if definition.timeout is None else definition.timeout.total_seconds(),
        "schema": dict(definition.input_schema),
    }
