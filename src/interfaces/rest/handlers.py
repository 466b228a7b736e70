"""Handlers: whatever goes wrong leaves as a problem, and the service goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from cueline.domain.errors import CuelineError, InvalidInput, Problem, Unavailable
from cueline.interfaces.rest.answers import ProblemAnswer
from cueline.interfaces.rest.fields import problems_of
from cueline.interfaces.rest.problems import (
    BROKEN_OFF,
    INTERNAL,
    INVALID_INPUT,
    RETRY_AFTER,
    STATUSES,
    Kind,
    Refused,
    described,
    detail_of,
    kind_of,
)


def answer_with_problems(api: FastAPI) -> None:
    """Have every error of this API answered as a problem."""
    api.add_exception_handler(CuelineError, _of_domain)
    api.add_exception_handler(Refused, _of_edge)
    api.add_exception_handler(RequestValidationError, _of_parameters)
    api.add_exception_handler(HTTPException, _of_framework)
    api.add_exception_handler(ClientDisconnect, _of_client)
    api.add_exception_handler(Exception, _of_anything)


async def _of_domain(request: Request, error: Exception) -> Response:
    assert isinstance(error, CuelineError)  # noqa: S101  # it is registered for that
    kind = kind_of(error)
    if kind is INTERNAL:
        raise error
    problems = error.problems if isinstance(error, InvalidInput) else ()
    headers = {"Retry-After": RETRY_AFTER} if isinstance(error, Unavailable) else None
    return _answer(request, kind, detail_of(error), problems, headers)


async def _of_edge(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  # it is registered for that
    return _answer(request, error.kind, error.detail, error.problems, error.headers, **error.facts)


async def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # it is registered for that
    # The first part of a place says whether it is in the path, the query or a header.
    problems = problems_of(error.errors(), skip=1)
    return _answer(request, INVALID_INPUT, "the parameters cannot be read", problems)


async def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for that
    kind = STATUSES.get(error.status_code)
    if kind is None:
        kind = Kind(f"http-{error.status_code}", error.status_code, error.detail)
    path, headers = request.scope["path"], error.headers
    if kind.status == 404:
        return _answer(request, kind, f"there is nothing at {path}", headers=headers)
    if kind.status == 405:
        allowed = ", ".join(sorted(_methods_at(request)))
        detail = f"{path} does not take {request.method}, but: {allowed}"
        return _answer(request, kind, detail, headers={"Allow": allowed})
    return _answer(request, kind, error.detail, headers=headers)


async def _of_client(request: Request, _: Exception) -> Response:
    return _answer(request, BROKEN_OFF, "the client went before it had sent its request")


async def _of_anything(request: Request, _: Exception) -> Response:
    # The framework raises it further once this is sent, and the server logs it.
    return _answer(request, INTERNAL, "the cause is in the service's log")


def _answer(
    request: Request,
    kind: Kind,
    detail: str,
    problems: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
    **facts: object,
) -> Response:
    document = described(kind, detail, quote(request.scope["path"]), problems, **facts)
    return ProblemAnswer(document, status_code=kind.status, headers=headers)


def _methods_at(request: Request) -> set[str]:
    """Every method that some route takes at this path; the framework knows only its first match."""
    path = request.scope["path"]
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(path)
        for method in route.methods or ()
    }
