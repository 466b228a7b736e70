from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest
from fastapi import HTTPException

from cueline.domain.errors import (
    Conflict,
    CuelineError,
    DefinitionChanged,
    ExpressionError,
    HandlerError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    Outdated,
    PermanentError,
    Unavailable,
    UnknownTask,
    WorkerEvicted,
)
from cueline.interfaces.rest import create_api
from cueline.interfaces.rest.problems import INTERNAL, KINDS, kind_of
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client

TASKS = "/api/v1/tasks"

STATUSES = {
    InvalidInput("m"): 422,
    InvalidDefinition("m"): 422,
    UnknownTask("n", []): 422,
    NotFound("task", "i"): 404,
    Conflict("m"): 409,
    IllegalTransition("task", "i", "s", "e"): 409,
    KeyReused("k", "h"): 422,
    DefinitionChanged("w", 1): 409,
    WorkerEvicted("w"): 409,
    Unavailable("the store"): 503,
    ExpressionError("m"): 422,
}


@pytest.mark.parametrize(
    ("error", "status"), STATUSES.items(), ids=[type(error).__name__ for error in STATUSES]
)
async def test_each_error_of_the_domain_has_its_status(
    rest: Client, harness: Harness, error: CuelineError, status: int
) -> None:
    harness.store.failing_read = error

    answer = await rest.get(f"{TASKS}/{harness.ids.new()}")

    assert answer.status_code == status
    assert answer.json()["type"] == kind_of(error).type


def test_every_error_that_a_caller_can_meet_is_in_the_table() -> None:
    met = {CuelineError}
    for parent in list(met):
        met |= _descendants(parent)
    ours = {error for error in met if error.__module__ == "cueline.domain.errors"}

    assert ours - set(KINDS) == {CuelineError, HandlerError, PermanentError, Outdated}


def test_an_error_that_is_not_in_the_table_is_told_like_its_parent() -> None:
    class NearMiss(NotFound):
        pass

    assert kind_of(NearMiss("task", "i")) is KINDS[NotFound]
    assert kind_of(PermanentError("m")) is INTERNAL


def test_each_kind_of_problem_has_a_name_of_its_own() -> None:
    assert len({kind.type for kind in KINDS.values()}) == len(KINDS)


async def test_an_outage_says_when_to_come_back_and_nothing_of_how_we_are_built(
    rest: Client, harness: Harness
) -> None:
    harness.store.failing_read = Unavailable("the store", "postgresql://user:secret@host")

    answer = await rest.get(TASKS)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "secret" not in answer.text


async def test_a_submission_that_cannot_be_stored_is_not_accepted(
    rest: Client, harness: Harness
) -> None:
    await rest.make(TASKS, {"name": "send"})
    harness.store.failing_commit = Unavailable("the store")

    refused = await rest.post(TASKS, {"name": "send"})
    accepted = await rest.post(TASKS, {"name": "send"})

    assert refused.status_code == 503
    assert accepted.status_code == 202


@pytest.mark.parametrize("error", [RuntimeError("secret"), PermanentError("secret")])
async def test_an_error_of_ours_is_told_without_its_internals(
    rest: Client, harness: Harness, error: Exception
) -> None:
    harness.store.failing_read = error

    answer = await rest.get(TASKS)
    harness.store.failing_read = None

    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:cueline:problem:internal-error"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert (await rest.get(TASKS)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/nothing", "/api/v2/tasks", f"{TASKS}/", "/api/v1/tasks//x"]
)
async def test_an_address_where_nothing_is_is_not_found(rest: Client, path: str) -> None:
    answer = await rest.get(path)

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:cueline:problem:no-such-route"
    assert answer.json()["instance"] == path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", TASKS, "GET, POST"),
        ("PUT", "/api/v1/workflows", "GET, POST"),
        ("PATCH", "/api/v1/queues/default", "GET"),
        ("GET", "/api/v1/queues/default/pause", "POST"),
        ("POST", "/health/live", "GET"),
    ],
)
async def test_a_method_that_is_not_taken_is_told_which_are(
    rest: Client, method: str, path: str, allowed: str
) -> None:
    answer = await rest.ask(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json()["type"] == "urn:cueline:problem:method-not-allowed"


async def test_another_refusal_of_the_framework_is_a_problem_too(harness: Harness) -> None:
    api = create_api(lambda: harness.app)

    @api.get("/teapot")
    async def brew() -> None:
        raise HTTPException(418, "no coffee here")

    transport = httpx2.ASGITransport(app=api)
    async with httpx2.AsyncClient(transport=transport, base_url="http://cueline.test") as http:
        answer = await http.get("/teapot")

    assert answer.status_code == 418
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:cueline:problem:http-418"
    assert answer.json()["detail"] == "no coffee here"


async def test_the_instance_of_a_problem_is_a_proper_reference(rest: Client) -> None:
    answer = await rest.get("/n%C3%BCll/%00/<script>")

    assert answer.json()["instance"] == "/n%C3%BCll/%00/%3Cscript%3E"


async def test_what_is_wrong_with_an_input_is_listed_by_place(rest: Client) -> None:
    answer = await rest.post(TASKS, {"name": "strict"})

    assert answer.json() == {
        "type": "urn:cueline:problem:invalid-input",
        "title": "The request cannot be understood",
        "status": 422,
        "detail": "the input does not fit task 'strict'",
        "instance": TASKS,
        "problems": [{"path": "input.order", "message": "is missing"}],
    }


async def test_times_are_written_in_utc(rest: Client, harness: Harness) -> None:
    harness.clock.advance(timedelta(milliseconds=1500).total_seconds())
    task = await harness.submit()

    assert (await rest.read(f"{TASKS}/{task.id}"))["created_at"] == "2026-03-01T12:00:01.500000Z"


def _descendants(error: type[CuelineError]) -> set[type[CuelineError]]:
    found = set()
    for child in error.__subclasses__():
        found |= {child} | _descendants(child)
    return found
