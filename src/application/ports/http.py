"""Calling other services over HTTP: the port that handlers use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cueline.domain.errors import CuelineError, PermanentError
from cueline.domain.json import Json

TEMPORARY_STATUSES = frozenset({408, 425, 429})
"""Answers of 4xx that ask to come back later; every other 4xx is final."""

Query = Mapping[str, str | int]


class HttpUnavailable(CuelineError):
    """The service did not give its answer now; a later attempt may succeed.

    `status` is 5xx, 408, 425 or 429, or None where no answer came (network, timeout). `retry_after`
    is the wait that the service asked for, in seconds. `body` is what it said, shortened.
    """

    def __init__(
        self,
        call: str,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        body: str = "",
    ) -> None:
        self.call = call
        self.status = status
        self.retry_after = retry_after
        self.body = body
        super().__init__(f"{call}: {reason}")


class HttpRejected(PermanentError):
    """The service refused this request: sending it again unchanged cannot help.

    `status` is the answer, or None where the request could not be made or its answer not be used.
    `body` is what the service said, shortened.
    """

    def __init__(
        self, call: str, reason: str, *, status: int | None = None, body: str = ""
    ) -> None:
        self.call = call
        self.status = status
        self.body = body
        super().__init__(f"{call}: {reason}")


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer of 2xx. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body read as JSON; `ValueError` if it is not."""
        return json.loads(self.body)


class HttpClient(Protocol):
    """Makes HTTP requests through one pool of connections.

    *Concurrency*: any number of requests at once, on the event loop that opened the client; beyond
    the size of the pool they wait for one another, which counts towards their timeout.
    *Idempotency*: each call is one request. Nothing is retried here; that is for the task's retry
    policy.
    *Redirects* are followed for GET and HEAD, and credentials are not carried to another host.
    *Errors*: every answer but 2xx is raised. `HttpUnavailable` for 5xx, 408, 425, 429, a timeout
    and a broken network; `HttpRejected` for all others, for an address that is not one, and for an
    answer that is too large. Messages name the method and the address without its query, which may
    hold secrets.
    *Units*: `timeout` is in seconds and covers the whole call, redirects and body included; None
    takes the client's own.
    *Closing*: whoever opened the client closes it; a handler never does.
    """

    async def get_json(
        self,
        url: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """GET and read the answer as JSON; `HttpRejected` if it is not JSON."""
        ...

    async def post_json(
        self,
        url: str,
        body: Json,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """POST a JSON body and read the answer as JSON; None if the answer has no body."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Any other request; `content` is the body as it is sent."""
        ...
