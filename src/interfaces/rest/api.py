"""The REST API, made of its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import Lifespan

from cueline.application.application import Application
from cueline.interfaces.rest import operations, queues, runs, tasks, workers, workflows
from cueline.interfaces.rest.edge import Edge, Pace
from cueline.interfaces.rest.handlers import answer_with_problems
from cueline.interfaces.rest.openapi import DESCRIPTION, completed

BATCH_FACTOR = 10
"""How much larger than another body one with a whole batch may be."""

STANDARD_PACE = Pace()

# The one that is called most is looked for first.
_ROUTES = [
    *tasks.direct.routes,
    *tasks.router.routes,
    *runs.router.routes,
    *workflows.router.routes,
    *queues.router.routes,
    *workers.router.routes,
    *operations.router.routes,
]


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def create_api(
    provide: Callable[[], Application],
    *,
    lifespan: Lifespan[FastAPI] | None = None,
    max_body: int = 1_000_000,
    pace: Pace = STANDARD_PACE,
) -> FastAPI:
    """Make the API of the application that `provide` answers, once requests come.

    `max_body` limits bodies in bytes; one with a batch of tasks may be ten times as large.
    """
    api = _Api(
        title="Cueline",
        version="1",
        description=DESCRIPTION,
        routes=_ROUTES,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.edge = Edge(
        provide=provide,
        max_body=max_body,
        max_batch=BATCH_FACTOR * max_body,
        pace=pace,
    )
    answer_with_problems(api)
    return api
