"""Answers: JSON as it leaves, and how the OpenAPI document tells what an operation answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from cueline.interfaces.rest.problems import MEDIA_TYPE


class Answer(Response):
    """A JSON answer. Times are RFC 3339, in UTC, with a Z."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the document."""
        return encode(content)


class ProblemAnswer(Answer):
    """An error, as RFC 9457 wants it sent."""

    media_type = MEDIA_TYPE


def encode(document: object) -> bytes:
    """Write a document as JSON."""
    return orjson.dumps(document, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: object) -> object:
    """What orjson does not know: the read-only mappings and sequences of the domain."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Sequence, frozenset)) and not isinstance(value, (str, bytes)):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


_PROBLEM = {
    "description": "A problem, as RFC 9457 describes it",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def answers(document: object, *, status: int = 200, says: str = "") -> dict[int | str, Any]:
    """What an operation answers, for the OpenAPI document: one good answer, else a problem."""
    good: dict[str, Any] = {"model": document}
    if says:
        good["description"] = says
    return {status: good, "default": _PROBLEM}


def streams(says: str) -> dict[int | str, Any]:
    """What an operation that answers with an event stream answers."""
    return texts(says, "text/event-stream")


def texts(says: str, media_type: str) -> dict[int | str, Any]:
    """What an operation that answers with a text, not with JSON, answers."""
    content = {media_type: {"schema": {"type": "string"}}}
    return {200: {"description": says, "content": content}, "default": _PROBLEM}
