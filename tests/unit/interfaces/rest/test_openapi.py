from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from cueline.interfaces.rest.bodies import INLINE_RUN, RUN, TASK, TASKS, WORKFLOW
from tests.unit.interfaces.rest.client import Client, openapi_document

DOCUMENT = openapi_document()

OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
WITH_BODY = {name: found for name, found in OPERATIONS.items() if "requestBody" in found}


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for member in part.values():
            yield from _references(member)
    elif isinstance(part, list):
        for member in part:
            yield from _references(member)


def test_every_endpoint_of_the_design_is_there() -> None:
    assert set(OPERATIONS) == {
        "POST /api/v1/tasks",
        "POST /api/v1/tasks/batch",
        "GET /api/v1/tasks",
        "GET /api/v1/tasks/{task_id}",
        "GET /api/v1/tasks/{task_id}/attempts",
        "GET /api/v1/tasks/{task_id}/logs",
        "GET /api/v1/tasks/{task_id}/explain",
        "GET /api/v1/tasks/{task_id}/events",
        "POST /api/v1/tasks/{task_id}/cancel",
        "POST /api/v1/tasks/{task_id}/retry",
        "POST /api/v1/tasks/{task_id}/promote",
        "GET /api/v1/queues",
        "GET /api/v1/queues/{name}",
        "POST /api/v1/queues/{name}/pause",
        "POST /api/v1/queues/{name}/resume",
        "GET /api/v1/workers",
        "GET /api/v1/task-definitions",
        "GET /api/v1/workflows",
        "POST /api/v1/workflows",
        "GET /api/v1/workflows/{name}/versions/{version}",
        "POST /api/v1/workflows/{name}/runs",
        "POST /api/v1/runs",
        "GET /api/v1/runs",
        "GET /api/v1/runs/{run_id}",
        "GET /api/v1/runs/{run_id}/history",
        "GET /api/v1/runs/{run_id}/events",
        "POST /api/v1/runs/{run_id}/cancel",
        "POST /api/v1/runs/{run_id}/pause",
        "POST /api/v1/runs/{run_id}/resume",
        "POST /api/v1/runs/{run_id}/retry",
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "GET /",
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_does_and_how_it_fails(name: str) -> None:
    operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert "application/problem+json" in operation["responses"]["default"]["content"]
    good = [status for status in operation["responses"] if status.startswith("2")]
    assert good
    for status in good:
        assert operation["responses"][status]["content"]


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(names)) == len(names)
    assert "submit_task" in names


def test_every_reference_leads_somewhere() -> None:
    for reference in set(_references(DOCUMENT)):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_schema_is_a_json_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "components": DOCUMENT["components"]})


def test_every_path_parameter_is_described() -> None:
    for name, operation in OPERATIONS.items():
        described = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        named = {part[1:-1] for part in name.split("/") if part.startswith("{")}
        assert described == named, name


def test_what_makes_a_request_idempotent_is_described_wherever_it_works() -> None:
    described = {
        name
        for name, operation in OPERATIONS.items()
        if any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", []))
    }

    assert described == {
        "POST /api/v1/tasks",
        "POST /api/v1/runs",
        "POST /api/v1/workflows/{name}/runs",
    }


def test_every_body_is_described() -> None:
    assert set(WITH_BODY) == {
        "POST /api/v1/tasks",
        "POST /api/v1/tasks/batch",
        "POST /api/v1/workflows",
        "POST /api/v1/workflows/{name}/runs",
        "POST /api/v1/runs",
    }


@pytest.mark.parametrize("name", WITH_BODY)
def test_the_examples_of_a_body_fit_its_schema(name: str) -> None:
    content = WITH_BODY[name]["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    assert content["examples"]
    for example in content["examples"].values():
        assert example["summary"]
        validator.validate(example["value"])


@pytest.mark.parametrize("body", [TASK, TASKS, WORKFLOW, RUN, INLINE_RUN])
def test_the_examples_of_a_body_can_be_read(body: Any) -> None:
    content = body.described["requestBody"]["content"]["application/json"]

    for example in content["examples"].values():
        body.parse(example["value"])


def test_a_body_with_a_field_too_many_does_not_fit_its_schema() -> None:
    schema = {"$ref": "#/components/schemas/TaskBody", "components": DOCUMENT["components"]}

    assert not jsonschema_rs.is_valid(schema, {"name": "send", "inputs": {}})


async def test_the_document_is_served_with_its_pages(rest: Client) -> None:
    assert (await rest.get("/openapi.json")).json() == rest.api.openapi()
    assert "text/html" in (await rest.get("/docs")).headers["content-type"]
