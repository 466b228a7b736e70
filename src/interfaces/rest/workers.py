"""Workers, and the kinds of tasks that they know, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from cueline.interfaces.documents.fleet import (
    DefinitionDocument,
    WorkerDocument,
    definition_document,
    worker_document,
)
from cueline.interfaces.rest.answers import Answer, answers
from cueline.interfaces.rest.edge import PREFIX, App, a_router
from cueline.interfaces.rest.pages import Listing, PageDocument, whole

router = a_router(PREFIX, "workers")


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
