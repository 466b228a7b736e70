"""The OpenAPI document: FastAPI's, with what it cannot know of bodies that we read ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

DESCRIPTION = """Background tasks and durable workflows.

Lists answer `{items, next}`; pass `next` as `cursor` for the next part. Every error is an
RFC 9457 problem with a stable `type`. Times are RFC 3339, in UTC."""


class InputProblem(TypedDict):
    """One thing wrong with what was sent: where, and what."""

    path: str
    message: str


class Problem(TypedDict):
    """An error. `problems` says what is wrong with the input, where that is the error."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    problems: NotRequired[list[InputProblem]]


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the schemas of problems and of the bodies among its components."""
    components: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    reference = "#/components/schemas/{model}"
    problem = TypeAdapter(Problem).json_schema(ref_template=reference)
    components.update(problem.pop("$defs"))
    components["Problem"] = problem
    for content in _bodies(document):
        schema = content["schema"]
        found = schema.pop("$defs", {})
        if schema["type"] == "object":
            found[schema["title"]] = schema
            content["schema"] = {"$ref": reference.format(model=schema["title"])}
        for name, definition in found.items():
            # Answers that hold the same document have brought it already.
            components.setdefault(name, definition)
    return document


def _bodies(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from operation.get("requestBody", {}).get("content", {}).values()
