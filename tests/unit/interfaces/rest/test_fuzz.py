"""Whatever is sent to whichever route: never a 5xx, always a problem or what the document says.

The routes, parameters and bodies are those of the OpenAPI document; `Client` holds each answer
against its schemas. CUELINE_FUZZ says how many requests each operation gets.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings

from cueline.interfaces.rest import create_api
from cueline.interfaces.rest.edge import Pace
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client, openapi_document
from tests.unit.interfaces.rest.documents import an_order
from tests.unit.interfaces.rest.fuzzing import Known, Request, requests

EXAMPLES = int(os.environ.get("CUELINE_FUZZ", "40"))

OPERATIONS = [
    pytest.param(method.upper(), path, operation, id=f"{method.upper()} {path}")
    for path, operations in openapi_document()["paths"].items()
    for method, operation in operations.items()
]

thorough = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


async def a_service(*, all_has_ended: bool) -> tuple[Client, Known]:
    """A client of a service in which something has been, and what that is."""
    harness = Harness()
    await harness.app.catalogue.register()
    pace = Pace(look=3600, heartbeat=3600)
    rest = Client(create_api(lambda: harness.app, max_body=100_000, pace=pace))
    await rest.make("/api/v1/workflows", an_order())
    run = await rest.make("/api/v1/workflows/order/runs", {"input": {"order": 7}})
    tasks, runs = [str((await harness.submit()).id)], [run["id"]]
    await harness.work()
    if not all_has_ended:
        tasks.append(str((await harness.submit(delay=timedelta(hours=1))).id))
        run = await rest.make("/api/v1/workflows/order/runs", {"input": {"order": 8}})
        runs.append(run["id"])
    by_parameter = {
        "task_id": tasks,
        "run_id": runs,
        "name": ["order", "default", "printer"],
        "version": ["1", "2"],
    }
    return rest, Known(by_parameter)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_no_request_is_answered_otherwise_than_documented(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    with asyncio.Runner() as runner:
        # A stream of events comes to its end with what it is about.
        rest, known = runner.run(a_service(all_has_ended=path.endswith("/events")))

        @thorough
        @given(requests(method, path, operation, known))
        def is_answered_properly(request: Request) -> None:
            answer = runner.run(_send(rest, request))
            assert answer.status_code < 500, answer.text

        is_answered_properly()
        submitted = runner.run(rest.post("/api/v1/tasks", {"name": "send"}))
        assert submitted.status_code == 202


async def _send(rest: Client, request: Request) -> httpx2.Response:
    return await rest.ask(
        request.method, request.path, headers=request.headers, content=request.body
    )
