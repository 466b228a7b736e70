"""Workers, and the kinds of tasks that they know, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from typing_extensions import TypedDict

from cueline.domain.definition import TaskDefinition
from cueline.domain.worker import Worker
from cueline.interfaces.rest.answers import Answer, answers
from cueline.interfaces.rest.documents import shown_retry
from cueline.interfaces.rest.edge import PREFIX, App, a_router
from cueline.interfaces.rest.fields import RetryDocument
from cueline.interfaces.rest.pages import Listing, PageDocument, whole

router = a_router(PREFIX, "workers")


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


@router.get("/workers", summary="List workers", responses=answers(PageDocument[WorkerDocument]))
async def list_workers(app: App, listing: Annotated[Listing, Query()]) -> Answer:
    """List the workers, live ones first, then the most recently started."""
    found = await app.queries.workers(listing.limit)
    return Answer(whole([worker_document(worker) for worker in found]))


@router.get(
    "/task-definitions",
    summary="List the kinds of tasks",
    responses=answers(PageDocument[DefinitionDocument]),
)
async def list_task_definitions(app: App) -> Answer:
    """List every kind of task that an application has registered, by name."""
    return Answer(whole([definition_document(one) for one in await app.queries.definitions()]))
