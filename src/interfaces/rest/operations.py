"""What operators and their machines ask: is it alive, is it ready, and where is what."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from cueline.interfaces.rest.answers import Answer, answers, texts
from cueline.interfaces.rest.documents import Links
from cueline.interfaces.rest.edge import PREFIX, App, a_router
from cueline.interfaces.rest.problems import RETRY_AFTER, UNAVAILABLE, Refused

router = a_router("", "operations")

OK = "ok"


class HealthDocument(TypedDict):
    """Whether this process is alive."""

    status: str


class ReadinessDocument(TypedDict):
    """Whether this process can do its work, and what it depends on: `ok`, or what is wrong."""

    status: str
    parts: dict[str, str]


class HomeDocument(TypedDict):
    """Where to go from here."""

    name: str
    links: Links


@router.get("/", summary="Say where is what", responses=answers(HomeDocument))
async def show_home(request: Request) -> Answer:
    """Say where is what."""
    lists = ["tasks", "queues", "task-definitions", "workflows", "runs", "workers"]
    links = {
        **{name: f"{PREFIX}/{name}" for name in lists},
        "live": "/health/live",
        "ready": "/health/ready",
        "metrics": "/metrics",
        "openapi": str(request.app.openapi_url),
        "docs": str(request.app.docs_url),
    }
    return Answer({"name": request.app.title, "links": links})


@router.get("/health/live", summary="Say if it is alive", responses=answers(HealthDocument))
async def show_liveness() -> Answer:
    """Answer; a process that does not is to be started anew."""
    return Answer({"status": OK})


@router.get("/health/ready", summary="Say if it is ready", responses=answers(ReadinessDocument))
async def show_readiness(app: App) -> Answer:
    """Answer 200 while the store answers, 503 while it does not, and the state of each part.

    Without its broker the service is `degraded` but ready: what is submitted waits in the store.
    """
    parts = await app.queries.is_ready()
    if parts.get("store") != OK:
        headers = {"Retry-After": RETRY_AFTER}
        raise Refused(UNAVAILABLE, "the store does not answer", headers=headers, parts=parts)
    status = OK if all(state == OK for state in parts.values()) else "degraded"
    return Answer({"status": status, "parts": parts})


@router.get(
    "/metrics",
    summary="Give the figures of this process",
    response_class=Response,
    responses=texts("The figures, in the text format of Prometheus", "text/plain"),
)
async def show_metrics(app: App) -> Response:
    """Give the figures of this process to Prometheus, or to whoever reads its text format."""
    exposition = app.queries.metrics()
    return Response(exposition.body, headers={"Content-Type": exposition.content_type})
