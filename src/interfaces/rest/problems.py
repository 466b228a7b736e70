"""Problems: every error that leaves over HTTP, as RFC 9457 tells it.

One table says what each error of the domain is to a client. A problem's `type` is stable and is a
name, not an address: nothing is to be fetched from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cueline.domain.errors import (
    Conflict,
    CuelineError,
    DefinitionChanged,
    ExpressionError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    Problem,
    Unavailable,
    UnknownTask,
    WorkerEvicted,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "2"
"""Seconds after which it is worth asking again for what does not answer now."""

MOST_PROBLEMS = 100
LONGEST_PATH = 300
LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of problem: its stable name, the status it has, and its title."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The problem's `type`."""
        return f"urn:cueline:problem:{self.slug}"


MALFORMED_JSON = Kind("malformed-json", 400, "The body is not JSON")
BROKEN_OFF = Kind("broken-off", 400, "The request broke off")
NO_SUCH_ROUTE = Kind("no-such-route", 404, "There is nothing at this address")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "This address does not take that method")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not sent as JSON")
INVALID_INPUT = Kind("invalid-input", 422, "The request cannot be understood")
INTERNAL = Kind("internal-error", 500, "Something went wrong in the service")
UNAVAILABLE = Kind("unavailable", 503, "The service cannot answer now")

KINDS: Mapping[type[CuelineError], Kind] = {
    InvalidInput: INVALID_INPUT,
    UnknownTask: Kind("unknown-task", 422, "No task has this name"),
    InvalidDefinition: Kind("invalid-definition", 422, "The workflow cannot run"),
    ExpressionError: Kind("invalid-expression", 422, "An expression cannot be evaluated"),
    NotFound: Kind("not-found", 404, "There is no such thing"),
    Conflict: Kind("conflict", 409, "The request does not fit the present state"),
    IllegalTransition: Kind("illegal-transition", 409, "The present state does not allow this"),
    DefinitionChanged: Kind("definition-changed", 409, "This version is registered differently"),
    WorkerEvicted: Kind("worker-evicted", 409, "The worker lost its lease"),
    # 422, as the IETF's Idempotency-Key draft has it: there 409 means that the first request is
    # still under way, so that clients which know the draft would try again, for ever and in vain.
    KeyReused: Kind("key-reused", 422, "The idempotency key stands for another request"),
    Unavailable: UNAVAILABLE,
}
"""What each error of the domain is to a client. One that is not here has its parent's entry."""

STATUSES: Mapping[int, Kind] = {
    kind.status: kind
    for kind in (NO_SUCH_ROUTE, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
}
"""What the framework's own refusals are to a client."""


class Refused(Exception):
    """A request that does not reach the application: this edge refuses it."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.problems = problems
        self.headers = headers
        self.facts = facts
        super().__init__(detail)


def kind_of(error: CuelineError) -> Kind:
    """The entry of an error in the table."""
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return INTERNAL


def detail_of(error: CuelineError) -> str:
    """What a client is told: of an input error the summary, of an outage not how we are built."""
    if isinstance(error, InvalidInput):
        return error.summary
    if isinstance(error, Unavailable):
        return f"{error.what} does not answer"
    return str(error)


def described(
    kind: Kind, detail: str, instance: str, problems: Sequence[Problem] = (), **facts: object
) -> dict[str, Any]:
    """A problem as it is sent. What the client wrote is quoted, but not at any length."""
    document: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": _clipped(detail, LONGEST_MESSAGE),
        "instance": instance,
    }
    if problems:
        document["problems"] = [
            {
                "path": _clipped(problem.path, LONGEST_PATH),
                "message": _clipped(problem.message, LONGEST_MESSAGE),
            }
            for problem in problems[:MOST_PROBLEMS]
        ]
        if len(problems) > MOST_PROBLEMS:
            left_out = len(problems) - MOST_PROBLEMS
            document["problems"].append({"path": "", "message": f"and {left_out} problems more"})
    return {**document, **facts}


def _clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
