"""Workflows over HTTP."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from cueline.application.application import Application
from cueline.application.workflows import Start
from cueline.domain.workflow.document import workflow_document
from cueline.interfaces.rest.answers import Answer, answers
from cueline.interfaces.rest.bodies import RUN, WORKFLOW
from cueline.interfaces.rest.edge import PREFIX, App, a_router
from cueline.interfaces.rest.fields import (
    KeyHeader,
    NamePath,
    VersionPath,
    WorkflowDocument,
    one_key,
)
from cueline.interfaces.rest.pages import PageDocument, whole
from cueline.interfaces.rest.run_documents import (
    RunReceipt,
    WorkflowSummary,
    run_receipt,
    workflow_address,
    workflow_summary,
)

router = a_router(f"{PREFIX}/workflows", "workflows")


@router.get("", summary="List workflows", responses=answers(PageDocument[WorkflowSummary]))
async def list_workflows(app: App) -> Answer:
    """List every version of every workflow."""
    return Answer(whole([workflow_summary(found) for found in await app.queries.workflows()]))


@router.post(
    "",
    summary="Register a workflow",
    status_code=201,
    responses={
        **answers(WorkflowDocument, status=201, says="It is new"),
        200: {"model": WorkflowDocument, "description": "It was registered already, just so"},
    },
    openapi_extra=WORKFLOW.described,
)
async def register_workflow(request: Request, app: App) -> Answer:
    """Register a version of a workflow. The same again is 200; the same version changed is 409."""
    workflow = await WORKFLOW.read(request)
    new = await app.register(workflow)
    headers = {"Location": workflow_address(workflow)}
    status = 201 if new else 200
    return Answer(workflow_document(workflow), status_code=status, headers=headers)


@router.get(
    "/{name}/versions/{version}", summary="Show a workflow", responses=answers(WorkflowDocument)
)
async def show_workflow(app: App, name: NamePath, version: VersionPath) -> Answer:
    """Show a version of a workflow as it would be registered, with what is standard left out."""
    return Answer(workflow_document(await app.start.find(name, version)))


@router.post(
    "/{name}/runs",
    summary="Run a workflow",
    status_code=202,
    responses=answers(RunReceipt, status=202, says="It has started"),
    openapi_extra=RUN.described,
)
async def run_workflow(
    request: Request, app: App, name: NamePath, idempotency_key: KeyHeader = None
) -> Answer:
    """Start a run of a registered workflow. A repeat with the same key answers the same run."""
    body = await RUN.read(request)
    key = one_key(idempotency_key, body.key)
    workflow = await app.start.find(name, body.version)
    return await started(app, Start(workflow, body.input, key))


async def started(app: Application, start: Start) -> Answer:
    """Start a run and confirm it."""
    answer = await app.start.one(start)
    receipt: Any = run_receipt(answer)
    headers = {"Location": receipt["links"]["self"]}
    if not answer.created:
        headers["Idempotency-Replayed"] = "true"
    return Answer(receipt, status_code=202, headers=headers)
