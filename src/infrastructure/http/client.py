"""The HTTP client on httpx2: one pool of connections for all handlers of a process."""

from __future__ import annotations

import asyncio
import json as jsonlib
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from cueline.application.ports.http import (
    HttpClient,
    HttpRejected,
    HttpResponse,
    HttpUnavailable,
    Query,
)
from cueline.domain.json import Json
from cueline.infrastructure.http.answers import describe_call, error_for

# httpx2 logs every request at INFO with its whole address, and a query may hold secrets. Whoever
# wants that sets the level of this logger, and is not overruled.
_LIBRARY_LOG = logging.getLogger("httpx2")

_FOLLOWED = frozenset({"GET", "HEAD"})  # a redirected POST would silently become a GET


class PooledHttpClient(HttpClient):
    """Open it with `async with`; the constructor does no I/O.

    `timeout` is what a call may take by default, in seconds; `connections` the size of the pool;
    `largest` the size of the largest body that an answer may have, in bytes.
    """

    def __init__(
        self, *, timeout: float = 30.0, connections: int = 100, largest: int = 64 * 1024 * 1024
    ) -> None:
        self._timeout = timeout
        self._connections = connections
        self._largest = largest
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        if self._client is not None:
            raise RuntimeError("the HTTP client is already open")
        if _LIBRARY_LOG.level == logging.NOTSET:
            _LIBRARY_LOG.setLevel(logging.WARNING)
        self._client = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=self._connections),
            timeout=httpx2.Timeout(None, connect=10.0),  # the whole call is timed in `request`
            max_redirects=5,
            headers={"user-agent": "cueline"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get_json(
        self,
        url: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        accepting = {"accept": "application/json", **(headers or {})}
        answer = await self.request("GET", url, query=query, headers=accepting, timeout=timeout)
        return _read_json("GET", url, answer)

    async def post_json(
        self,
        url: str,
        body: Json,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        answer = await self.request(
            "POST",
            url,
            query=query,
            headers={
                "accept": "application/json",
                "content-type": "application/json",
                **(headers or {}),
            },
            content=jsonlib.dumps(body, allow_nan=False, ensure_ascii=False).encode(),
            timeout=timeout,
        )
        return _read_json("POST", url, answer) if answer.body else None

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
        if self._client is None:
            raise RuntimeError("the HTTP client is not open: use it inside `async with`")
        call = describe_call(method, url)
        seconds = self._timeout if timeout is None else timeout
        try:
            request = self._client.build_request(
                method, url, params=query, headers=headers, content=content
            )
            async with asyncio.timeout(seconds):
                response, body = await self._exchange(self._client, request, call)
        except TimeoutError as error:
            raise HttpUnavailable(call, f"no full answer within {seconds:g} s") from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise HttpRejected(call, f"not an HTTP address: {error}") from error
        except httpx2.TooManyRedirects as error:
            raise HttpRejected(call, "redirected too many times") from error
        except httpx2.HTTPError as error:  # everything else is the network, or a broken answer
            reason = str(error) or type(error).__name__
            raise HttpUnavailable(call, reason) from error
        if not response.is_success:
            raise error_for(call, response.status_code, response.headers, body)
        return HttpResponse(response.status_code, dict(response.headers), body)

    async def _exchange(
        self, client: httpx2.AsyncClient, request: httpx2.Request, call: str
    ) -> tuple[httpx2.Response, bytes]:
        """Send, and read the body piece by piece so that an endless one cannot fill the memory."""
        follow = request.method in _FOLLOWED
        response = await client.send(request, stream=True, follow_redirects=follow)
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > self._largest:
                    raise HttpRejected(call, f"the answer has more than {self._largest} bytes")
        finally:
            await response.aclose()
        return response, bytes(body)


def _read_json(method: str, url: str, answer: HttpResponse) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        call = describe_call(method, url)
        raise HttpRejected(
            call, f"the answer is not JSON: {error}", status=answer.status
        ) from error
