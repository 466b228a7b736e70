"""Tasks over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.task import TaskState
from cueline.interfaces.documents.states import SCHEDULED
from cueline.interfaces.documents.tasks import (
    AttemptDocument,
    LogDocument,
    attempt_document,
    log_document,
)
from cueline.interfaces.rest.answers import Answer, answers, streams
from cueline.interfaces.rest.bodies import TASK, TASKS
from cueline.interfaces.rest.documents import (
    ExplanationDocument,
    ReceiptDocument,
    ReceiptsDocument,
    TaskDocument,
    receipt_document,
    task_document,
)
from cueline.interfaces.rest.edge import PREFIX, App, DirectRoute, StreamPace, a_router, edge_of
from cueline.interfaces.rest.event_stream import EventStream
from cueline.interfaces.rest.fields import KEY_HEADER, Id, IdPath, LastEventId, Name, Tag, one_key
from cueline.interfaces.rest.pages import IdListing, PageDocument, PositionListing, page, whole
from cueline.interfaces.rest.task_stream import Place, task_stream

router = a_router(f"{PREFIX}/tasks", "tasks")
direct = a_router(f"{PREFIX}/tasks", "tasks", DirectRoute)

ShownState = Literal["queued", "scheduled", "running", "succeeded", "failed", "cancelled"]

_KEY_PARAMETER = {
    "name": KEY_HEADER,
    "in": "header",
    "description": "Makes a repeated request answer what the first one made. Same as `key`.",
    "schema": {"type": "string", "maxLength": 255},
}


@direct.post(
    "",
    summary="Submit a task",
    status_code=202,
    responses=answers(ReceiptDocument, status=202, says="Stored; it will run"),
    openapi_extra={"parameters": [_KEY_PARAMETER], **TASK.described},
)
async def submit_task(request: Request) -> Answer:
    """Store a task and answer its id.

    A repeat with the same key and the same request answers the same task, again with 202, so that
    a client which did not hear the first answer need not care which of the two it got; `created`
    and the header `Idempotency-Replayed` tell them apart. The same key with another request is 422.
    """
    app = edge_of(request).provide()
    body = await TASK.read(request)
    submission = body.submission(one_key(request.headers.get(KEY_HEADER), body.key))
    submitted = await app.submit.one(submission)
    receipt = receipt_document(submitted, app.clock.now())
    headers = {"Location": receipt["links"]["self"]}
    if not submitted.created:
        headers["Idempotency-Replayed"] = "true"
    return Answer(receipt, status_code=202, headers=headers)


@direct.post(
    "/batch",
    summary="Submit tasks, all or none",
    status_code=202,
    responses=answers(ReceiptsDocument, status=202, says="Stored; they will run"),
    openapi_extra=TASKS.described,
)
async def submit_tasks(request: Request) -> Answer:
    """Store up to 10,000 tasks in one transaction and answer their ids in the same order.

    Each may have a `key` of its own; the header for one cannot stand for many and is refused.
    """
    if KEY_HEADER in request.headers:
        wrong = Problem(KEY_HEADER, "give each task of a batch a key of its own")
        raise InvalidInput("a batch has no key", [wrong])
    edge = edge_of(request)
    app = edge.provide()
    bodies = await TASKS.read(request, edge.max_batch)
    submitted = await app.submit([body.submission(body.key) for body in bodies]) if bodies else []
    now = app.clock.now()
    return Answer({"items": [receipt_document(one, now) for one in submitted]}, status_code=202)


class TaskListing(IdListing):
    """Which tasks are wanted."""

    state: list[ShownState] = Field(default=[], description="Give it again for further states.")
    queue: Name | None = None
    name: Name | None = None
    tag: Tag | None = None
    run: Id | None = Field(default=None, description="The run for which they work.")

    @property
    def wanted(self) -> TaskFilter:
        """The filter of the application; for it, a scheduled task is a sort of queued one."""
        states = {TaskState.QUEUED if name == SCHEDULED else TaskState(name) for name in self.state}
        scheduled = None
        if SCHEDULED in self.state and "queued" not in self.state:
            scheduled = True
            if len(states) > 1:
                wrong = Problem("state", "ask for scheduled alone, or along with queued")
                raise InvalidInput("these states cannot be asked for together", [wrong])
        elif "queued" in self.state and SCHEDULED not in self.state:
            scheduled = False
        return TaskFilter(
            states=tuple(sorted(states)),
            scheduled=scheduled,
            queue=self.queue,
            name=self.name,
            run_id=None if self.run is None else RunId(self.run),
            tag=self.tag,
        )


@router.get("", summary="List tasks", responses=answers(PageDocument[TaskDocument]))
async def list_tasks(app: App, listing: Annotated[TaskListing, Query()]) -> Answer:
    """List tasks that fit, newest first. They come without their progress."""
    wanted = Page(listing.limit + 1, listing.cursor)
    found = await app.queries.tasks(listing.wanted, wanted)
    return Answer(page(found, listing.limit, lambda detail: detail.task.id, task_document))


@router.get("/{task_id}", summary="Show a task", responses=answers(TaskDocument))
async def show_task(app: App, task_id: IdPath) -> Answer:
    """Show a task and where it stands."""
    return await _shown(app, task_id)


@router.get(
    "/{task_id}/attempts",
    summary="List the attempts at a task",
    responses=answers(PageDocument[AttemptDocument]),
)
async def list_attempts(app: App, task_id: IdPath) -> Answer:
    """List every call of the task's handler, in order, the present one last."""
    attempts = await app.queries.attempts(TaskId(task_id))
    return Answer(whole([attempt_document(attempt) for attempt in attempts]))


@router.get(
    "/{task_id}/logs",
    summary="Read the log of a task",
    responses=answers(PageDocument[LogDocument]),
)
async def list_logs(
    app: App, task_id: IdPath, listing: Annotated[PositionListing, Query()]
) -> Answer:
    """List what the handler logged and reported as progress, in order."""
    found = await app.queries.logs(TaskId(task_id), listing.after, listing.limit + 1)
    return Answer(
        page(found, listing.limit, lambda line: line[0], lambda line: log_document(*line))
    )


@router.get(
    "/{task_id}/explain",
    summary="Explain where a task stands",
    responses=answers(ExplanationDocument),
)
async def explain_task(app: App, task_id: IdPath) -> Answer:
    """Say why a task is where it is, the most telling reason first."""
    reasons = await app.queries.explain(TaskId(task_id))
    return Answer({"id": task_id, "reasons": reasons})


@router.get(
    "/{task_id}/events",
    summary="Follow a task",
    status_code=200,
    response_class=EventStream,
    responses=streams("`status`, `progress`, `log`, `complete` or `error`, and `heartbeat`"),
)
async def follow_task(
    app: App,
    task_id: IdPath,
    pace: StreamPace,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Tell what happens to a task until it ends; one that has ended answers with its end at once.

    The id of a `status` is the task's version; `Last-Event-ID` resumes beyond it.
    """
    place = Place.resumed(last_event_id)
    detail = await app.queries.task(TaskId(task_id))
    return EventStream(task_stream(app, detail.task.id, place, pace))


@router.post("/{task_id}/cancel", summary="Cancel a task", responses=answers(TaskDocument))
async def cancel_task(app: App, task_id: IdPath) -> Answer:
    """Cancel a task, queued or running. One that has ended cannot be cancelled: 409."""
    await app.tasks.cancel([TaskId(task_id)])
    return await _shown(app, task_id)


@router.post(
    "/{task_id}/retry",
    summary="Retry a task",
    status_code=202,
    responses=answers(TaskDocument, status=202, says="It is queued again"),
)
async def retry_task(app: App, task_id: IdPath) -> Answer:
    """Give a task that failed or was cancelled a new life, with all its attempts before it."""
    await app.tasks.retry([TaskId(task_id)])
    return await _shown(app, task_id, status=202)


@router.post(
    "/{task_id}/promote",
    summary="Run a task now",
    status_code=202,
    responses=answers(TaskDocument, status=202, says="It is ready to run"),
)
async def promote_task(app: App, task_id: IdPath) -> Answer:
    """Run a task now that is scheduled for later or waits for a retry."""
    await app.tasks.promote([TaskId(task_id)])
    return await _shown(app, task_id, status=202)


async def _shown(app: App, task_id: str, status: int = 200) -> Answer:
    return Answer(task_document(await app.queries.task(TaskId(task_id))), status_code=status)
