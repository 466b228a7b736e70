"""The HTTP client against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cueline.application.ports.http import HttpRejected, HttpUnavailable
from cueline.infrastructure.http.client import PooledHttpClient

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers each request with what `answer` says, and keeps the requests."""

    answer: Callable[[Request], bytes]
    url: str = ""
    received: list[Request] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while (first := await reader.readline()).strip():
            request = await self._read(first, reader)
            self.received.append(request)
            writer.write(self.answer(request))
            await writer.drain()

    async def _read(self, first: bytes, reader: asyncio.StreamReader) -> Request:
        method, target, _ = first.decode().split()
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def a_server(reply: bytes | Callable[[Request], bytes]) -> AsyncIterator[Server]:
    server = Server(reply if callable(reply) else lambda _: reply)
    async with listening_on(server.serve) as server.url:
        yield server


@asynccontextmanager
async def listening_on(serve: Serve) -> AsyncIterator[str]:
    """The address of a server that does this on each connection; none is left open."""
    connections: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.create_task(one(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    for connection in connections:
        connection.cancel()
    await asyncio.gather(*connections)


async def test_get_json_sends_query_and_headers_and_reads_the_answer() -> None:
    async with (
        a_server(answer(200, b'{"records": [1, 2]}')) as server,
        PooledHttpClient() as client,
    ):
        got = await client.get_json(
            f"{server.url}/v1/records", query={"page": 2, "q": "a&b"}, headers={"x-token": "t"}
        )

    assert got == {"records": [1, 2]}
    [request] = server.received
    assert (request.method, request.target) == ("GET", "/v1/records?page=2&q=a%26b")
    assert request.headers["x-token"] == "t"
    assert request.headers["accept"] == "application/json"


async def test_post_json_sends_json_and_answers_none_for_an_empty_body() -> None:
    async with a_server(answer(204)) as server, PooledHttpClient() as client:
        got = await client.post_json(f"{server.url}/orders", {"name": "Müller", "n": 3})

    assert got is None
    [request] = server.received
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"name": "Müller", "n": 3}


async def test_other_requests_give_status_headers_and_bytes() -> None:
    async with (
        a_server(answer(201, b"\x00\x01", ETag='"7"')) as server,
        PooledHttpClient() as client,
    ):
        response = await client.request("PUT", f"{server.url}/file", content=b"abc")

    assert (response.status, response.body, response.headers["etag"]) == (201, b"\x00\x01", '"7"')
    assert (server.received[0].method, server.received[0].body) == ("PUT", b"abc")


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
async def test_an_answer_that_may_pass_is_temporary(status: int) -> None:
    async with a_server(answer(status, b"later")) as server, PooledHttpClient() as client:
        with pytest.raises(HttpUnavailable) as caught:
            await client.get_json(server.url)

    assert (caught.value.status, caught.value.body) == (status, "later")
    assert caught.value.retry_after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 304])
async def test_an_answer_that_will_not_change_is_permanent(status: int) -> None:
    body = b"" if status == 304 else b"no"
    async with a_server(answer(status, body)) as server, PooledHttpClient() as client:
        with pytest.raises(HttpRejected, match=f"answered {status}") as caught:
            await client.get_json(server.url)

    assert caught.value.status == status


async def test_the_wait_that_a_service_asks_for_is_told_in_seconds() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    waits = iter(["7", moment, "soon"])

    def come_back(_: Request) -> bytes:
        return answer(503, Retry_After=next(waits))

    async with a_server(come_back) as server, PooledHttpClient() as client:
        told = []
        for _ in range(3):
            with pytest.raises(HttpUnavailable) as caught:
                await client.get_json(server.url)
            told.append(caught.value.retry_after)

    assert told[0] == 7
    assert told[1] == pytest.approx(90, abs=3)
    assert told[2] is None


async def test_nobody_listening_is_temporary() -> None:
    async with a_server(answer(200)) as server:
        pass
    async with PooledHttpClient() as client:
        with pytest.raises(HttpUnavailable) as caught:
            await client.get_json(server.url)

    assert caught.value.status is None


async def test_a_connection_that_breaks_half_way_is_temporary() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"

    async def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(broken)

    async with listening_on(break_off) as url, PooledHttpClient() as client:
        with pytest.raises(HttpUnavailable):
            await client.request("GET", url)


async def test_the_timeout_covers_the_whole_call_even_if_bytes_keep_coming() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening_on(drip) as url, PooledHttpClient() as client:
        with pytest.raises(HttpUnavailable, match=r"no full answer within 0\.2 s"):
            await client.request("GET", url, timeout=0.2)


async def test_an_endless_answer_is_refused_before_it_fills_the_memory() -> None:
    async with (
        a_server(answer(200, b"x" * 5000)) as server,
        PooledHttpClient(largest=1000) as client,
    ):
        with pytest.raises(HttpRejected, match="more than 1000 bytes"):
            await client.request("GET", server.url)


async def test_an_answer_that_is_not_json_is_permanent_and_says_so() -> None:
    async with a_server(answer(200, b"<html>")) as server, PooledHttpClient() as client:
        with pytest.raises(HttpRejected, match="not JSON"):
            await client.get_json(server.url)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "127.0.0.1/x", "http://a:b", "http:///x", ""])
async def test_what_is_not_an_http_address_is_permanent(url: str) -> None:
    async with PooledHttpClient() as client:
        with pytest.raises(HttpRejected, match="not an HTTP address"):
            await client.get_json(url)


async def test_a_redirected_get_is_followed_and_a_redirected_post_is_not() -> None:
    def reply(request: Request) -> bytes:
        moved = answer(302, Location="/new")
        return moved if request.target == "/old" else answer(200, b'"there"')

    async with a_server(reply) as server, PooledHttpClient() as client:
        assert await client.get_json(f"{server.url}/old") == "there"
        with pytest.raises(HttpRejected, match="answered 302"):
            await client.post_json(f"{server.url}/old", {})


async def test_a_redirect_does_not_carry_the_credentials_to_another_host() -> None:
    async with a_server(answer(200, b"1")) as other:
        away = answer(302, Location=f"{other.url}/")
        async with a_server(away) as server, PooledHttpClient() as client:
            await client.get_json(server.url, headers={"authorization": "Bearer secret"})

    assert server.received[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in other.received[0].headers


async def test_a_redirect_that_goes_round_in_circles_is_permanent() -> None:
    async with a_server(answer(302, Location="/again")) as server, PooledHttpClient() as client:
        with pytest.raises(HttpRejected, match="redirected too many times"):
            await client.get_json(server.url)


async def test_errors_and_logs_do_not_show_passwords_or_queries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_server(answer(404)) as server, PooledHttpClient() as client:
        secretive = server.url.replace("http://", "http://user:hidden@")
        with pytest.raises(HttpRejected) as caught:
            await client.get_json(f"{secretive}/path", query={"token": "hidden"})

    assert "hidden" not in str(caught.value)
    assert "hidden" not in caplog.text
    assert str(caught.value).startswith(f"GET {server.url}/path: answered 404")


async def test_connections_are_kept_and_shared() -> None:
    async with a_server(answer(200, b"1")) as server, PooledHttpClient() as client:
        for _ in range(5):
            await client.get_json(server.url)

    assert (len(server.received), server.connections) == (5, 1)


async def test_a_client_that_is_not_open_says_so() -> None:
    client = PooledHttpClient()
    with pytest.raises(RuntimeError, match="not open"):
        await client.get_json("http://127.0.0.1/")
    async with client:
        with pytest.raises(RuntimeError, match="already open"):
            await client.__aenter__()
    with pytest.raises(RuntimeError, match="not open"):
        await client.get_json("http://127.0.0.1/")
