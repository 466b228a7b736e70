"""Runs over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from cueline.application.application import Application
from cueline.application.ports.questions import Page, RunFilter
from cueline.application.workflows import Start
from cueline.domain.errors import InvalidDefinition, Problem
from cueline.domain.identifiers import RunId
from cueline.domain.workflow.document import parse_workflow
from cueline.domain.workflow.run import RunState
from cueline.interfaces.documents.runs import HistoryDocument, history_document
from cueline.interfaces.rest.answers import Answer, answers, streams
from cueline.interfaces.rest.bodies import INLINE_RUN
from cueline.interfaces.rest.edge import PREFIX, App, StreamPace, a_router
from cueline.interfaces.rest.event_stream import EventStream
from cueline.interfaces.rest.fields import IdPath, KeyHeader, LastEventId, Name, one_key
from cueline.interfaces.rest.pages import IdListing, PageDocument, PositionListing, page
from cueline.interfaces.rest.run_documents import (
    RunDocument,
    RunReceipt,
    RunSummary,
    run_document,
    run_summary,
)
from cueline.interfaces.rest.run_stream import resumed, run_stream
from cueline.interfaces.rest.workflows import started

router = a_router(f"{PREFIX}/runs", "runs")


@router.post(
    "",
    summary="Run a workflow that comes with the request",
    status_code=202,
    responses=answers(RunReceipt, status=202, says="It has started"),
    openapi_extra=INLINE_RUN.described,
)
async def run_inline(request: Request, app: App, idempotency_key: KeyHeader = None) -> Answer:
    """Start a run of a workflow that is not registered. A repeat with its key answers the same."""
    body = await INLINE_RUN.read(request)
    key = one_key(idempotency_key, body.key)
    with _beneath("workflow"):
        workflow = await app.start.inline(parse_workflow(body.workflow))
    return await started(app, Start(workflow, body.input, key))


@contextmanager
def _beneath(field: str) -> Iterator[None]:
    """Have the problems of a definition say where it stands in the body."""
    try:
        yield
    except InvalidDefinition as error:
        found = [Problem(f"{field}.{wrong.path}", wrong.message) for wrong in error.problems]
        raise InvalidDefinition(error.summary, found) from error


class RunListing(IdListing):
    """Which runs are wanted."""

    state: list[RunState] = Field(default=[], description="Give it again for further states.")
    workflow: Name | None = None


@router.get("", summary="List runs", responses=answers(PageDocument[RunSummary]))
async def list_runs(app: App, listing: Annotated[RunListing, Query()]) -> Answer:
    """List runs that fit, newest first. They come without their steps."""
    wanted = RunFilter(states=tuple(listing.state), workflow=listing.workflow)
    found = await app.queries.runs(wanted, Page(listing.limit + 1, listing.cursor))
    return Answer(page(found, listing.limit, lambda run: run.id, run_summary))


@router.get("/{run_id}", summary="Show a run", responses=answers(RunDocument))
async def show_run(app: App, run_id: IdPath) -> Answer:
    """Show a run and where each of its steps stands."""
    return await _shown(app, run_id)


@router.get(
    "/{run_id}/history",
    summary="Read the history of a run",
    responses=answers(PageDocument[HistoryDocument]),
)
async def list_history(
    app: App, run_id: IdPath, listing: Annotated[PositionListing, Query()]
) -> Answer:
    """List what happened in a run, in order."""
    found = await app.queries.history(RunId(run_id), listing.after, listing.limit + 1)
    return Answer(page(found, listing.limit, lambda event: event.sequence, history_document))


@router.get(
    "/{run_id}/events",
    summary="Follow a run",
    status_code=200,
    response_class=EventStream,
    responses=streams("`status`, `progress`, `complete` or `error`, and `heartbeat`"),
)
async def follow_run(
    app: App,
    run_id: IdPath,
    pace: StreamPace,
    last_event_id: LastEventId = None,
) -> EventStream:
    """Tell the history of a run from its beginning and as it grows, until the run ends.

    The id of a `status` is its sequence in the history; `Last-Event-ID` resumes beyond it.
    """
    sequence = resumed(last_event_id)
    detail = await app.queries.run(RunId(run_id))
    return EventStream(run_stream(app, detail.run, sequence, pace))


@router.post(
    "/{run_id}/cancel",
    summary="Cancel a run",
    status_code=202,
    responses=answers(RunDocument, status=202, says="What was done is being undone"),
)
async def cancel_run(app: App, run_id: IdPath) -> Answer:
    """Stop what is under way, undo what was done, and end as cancelled."""
    await app.runs.cancel(RunId(run_id))
    return await _shown(app, run_id, status=202)


@router.post("/{run_id}/pause", summary="Pause a run", responses=answers(RunDocument))
async def pause_run(app: App, run_id: IdPath) -> Answer:
    """Start no further step until resumed; what is under way goes on."""
    await app.runs.pause(RunId(run_id))
    return await _shown(app, run_id)


@router.post("/{run_id}/resume", summary="Resume a run", responses=answers(RunDocument))
async def resume_run(app: App, run_id: IdPath) -> Answer:
    """Go on after a pause."""
    await app.runs.resume(RunId(run_id))
    return await _shown(app, run_id)


@router.post(
    "/{run_id}/retry",
    summary="Retry a run",
    status_code=202,
    responses=answers(RunDocument, status=202, says="It goes on"),
)
async def retry_run(app: App, run_id: IdPath) -> Answer:
    """Try again what failed: the steps of a failed run, or the undo that failed."""
    await app.runs.retry(RunId(run_id))
    return await _shown(app, run_id, status=202)


async def _shown(app: Application, run_id: str, status: int = 200) -> Answer:
    return Answer(run_document(await app.queries.run(RunId(run_id))), status_code=status)
