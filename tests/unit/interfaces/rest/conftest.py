"""An API of its own for every test, on memory adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from cueline.interfaces.rest import create_api
from cueline.interfaces.rest.edge import Pace
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client

MAX_BODY = 100_000


@pytest.fixture
async def harness() -> Harness:
    harness = Harness()
    await harness.app.catalogue.register()
    return harness


@pytest.fixture
def pace() -> Pace:
    """Streams that hear of everything by events, and never look by themselves."""
    return Pace(look=3600, heartbeat=3600)


@pytest.fixture
def api(harness: Harness, pace: Pace) -> FastAPI:
    return create_api(lambda: harness.app, max_body=MAX_BODY, pace=pace)


@pytest.fixture
async def rest(api: FastAPI) -> AsyncIterator[Client]:
    async with Client(api) as client:
        yield client


@pytest.fixture
async def goes_on(rest: Client) -> AsyncIterator[None]:
    """Whatever a test sends, the service must still do its work afterwards."""
    yield
    assert (await rest.post("/api/v1/tasks", {"name": "send"})).status_code == 202
