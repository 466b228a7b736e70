"""Cueline under any ASGI server: the lifespan opens what the settings select."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import httpx2
import pytest

from cueline.domain.errors import InvalidInput

Import = Callable[..., ModuleType]


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports the module anew, under these settings: it reads them when it is imported."""

    def load(**settings: str) -> ModuleType:
        for name, value in settings.items():
            monkeypatch.setenv(f"CUELINE_{name.upper()}", value)
        sys.modules.pop("cueline.asgi", None)
        return importlib.import_module("cueline.asgi")

    yield load
    sys.modules.pop("cueline.asgi", None)


async def test_the_api_answers_between_start_and_stop(imported: Import) -> None:
    api = imported(store="memory://").api
    transport = httpx2.ASGITransport(app=api)
    for _ in range(2):  # a server may start it again
        async with (
            api.router.lifespan_context(api),
            httpx2.AsyncClient(transport=transport, base_url="http://cueline.test") as client,
        ):
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/api/v1/tasks")).status_code == 200


async def test_the_process_also_has_the_other_roles(imported: Import) -> None:
    module = imported(
        store="memory://", roles="api,worker,dispatcher", app="tests.integration.app.tasks:app"
    )
    async with module.api.router.lifespan_context(module.api):
        [application] = module._opened
        assert application.executor.names
        assert application.catalogue is not None
    assert module._opened == []


async def test_an_application_that_cannot_be_loaded_stops_the_start(imported: Import) -> None:
    api = imported(store="memory://", app="no_such_shop:app").api
    with pytest.raises(InvalidInput, match="no_such_shop"):
        async with api.router.lifespan_context(api):
            pass


def test_settings_that_cannot_be_used_are_named(imported: Import) -> None:
    with pytest.raises(InvalidInput, match="CUELINE_STORE"):
        imported(store="nothing")
