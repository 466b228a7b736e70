"""A client of the API that holds every answer against what the OpenAPI document says of it."""

from __future__ import annotations

import json
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import jsonschema_rs
from fastapi import FastAPI
from starlette.routing import Route

from cueline.interfaces.rest import create_api
from tests.harness import Harness

JSON = {"Content-Type": "application/json"}

UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}


@cache
def openapi_document() -> dict[str, Any]:
    """The document of the API, which is always the same and takes longer than most tests."""
    return create_api(lambda: Harness().app).openapi()


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    whole = {**json.loads(schema), "components": openapi_document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


class Client:
    """Sends requests to the API in this process."""

    def __init__(self, api: FastAPI) -> None:
        self.api = api
        transport = httpx2.ASGITransport(app=api, raise_app_exceptions=False)
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://cueline.test")

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(exc_type, exc, traceback)

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request and check that the answer is as documented."""
        answer = await self._http.request(method, path, **options)
        self._check(method, urlsplit(path).path, answer)
        return answer

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        """Ask for something."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        """Send a JSON document, or nothing."""
        if body is not None:
            options["json"] = body
        return await self.ask("POST", path, **options)

    async def send(self, path: str, body: bytes, **headers: str) -> httpx2.Response:
        """Send bytes that are said to be JSON."""
        return await self.ask("POST", path, content=body, headers={**JSON, **headers})

    async def read(self, path: str, **options: Any) -> Any:
        """Ask for something that is there."""
        answer = await self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, body: Any = None, **options: Any) -> Any:
        """Send a document that is accepted."""
        answer = await self.post(path, body, **options)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    def _check(self, method: str, path: str, answer: httpx2.Response) -> None:
        kind = answer.headers["content-type"].partition(";")[0]
        if answer.status_code >= 400:
            assert kind == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert problem["type"].startswith("urn:cueline:problem:")
            assert problem["instance"].startswith("/")
            self._fits(problem, {"$ref": "#/components/schemas/Problem"})
        elif path not in UNDOCUMENTED:
            answers = self._operation(method, path)["responses"]
            documented = answers[str(answer.status_code)]["content"]
            assert kind in documented
            if kind == "application/json":
                self._fits(answer.json(), documented[kind]["schema"])

    def _operation(self, method: str, path: str) -> Any:
        for route in self.api.routes:
            if not isinstance(route, Route) or method not in (route.methods or ()):
                continue
            if route.path_regex.match(path):
                return openapi_document()["paths"][route.path_format][method.lower()]
        raise AssertionError(f"{method} {path} is not documented")

    @staticmethod
    def _fits(document: Any, schema: dict[str, Any]) -> None:
        _validator(json.dumps(schema)).validate(document)
