"""Whatever a client sends, it is told what is wrong and where, and the service goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness import Harness
from tests.unit.interfaces.rest.bad_input import (
    BATCH,
    BODIES,
    ORDER_RUNS,
    RUNS,
    TASKS,
    WORKFLOWS,
    problems,
)
from tests.unit.interfaces.rest.client import JSON, Client
from tests.unit.interfaces.rest.conftest import MAX_BODY
from tests.unit.interfaces.rest.documents import an_order

pytestmark = pytest.mark.usefixtures("goes_on")

# --- what is not JSON -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        (b"", "line 1, column 1", "empty"),
        (b'{"name": "send",\n "input": {]}', "line 2, column 12", ""),
        (b'{"name": "se', "line 1, column 13", "end"),
        (b'{"name": "send"} x', "line 1, column 18", ""),
        (b'{"name": NaN}', "line 1, column 10", "unexpected"),
        (b'{"name": Infinity}', "line 1, column 10", "unexpected"),
        (b'{"name": -Infinity}', "line 1, column 11", ""),
        (b'{"name": 1e999}', "line 1, column 10", "infinity"),
        (b'{"name": 1' + b"0" * 9000 + b"}", "line 1, column 10", "infinity"),
        (b'{"name": "\\ud800"}', "line 1, column 11", "surrogate"),
        (b'{"name": "\\udc00"}', "line 1, column 11", "surrogate"),
        (b'{"name": "a\x00b"}', "line 1, column 12", "control character"),
        (b"\xef\xbb\xbf{}", "line 1, column 1", "byte order mark"),
        (b"[" * 90_000, "line 1, column 1026", "depth"),
        (b'{"a":' * 15_000, "line 1, column 5122", "depth"),
    ],
)
async def test_what_is_not_json_is_refused_with_its_place(
    rest: Client, path: str, body: bytes, place: str, message: str
) -> None:
    answer = await rest.send(path, body)

    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:cueline:problem:malformed-json"
    assert list(problems(answer)) == [place]
    assert message in problems(answer)[place]
    assert isinstance(answer.json()["offset"], int)


@pytest.mark.parametrize("path", BODIES)
async def test_what_is_not_utf_8_is_refused_with_its_place(rest: Client, path: str) -> None:
    answer = await rest.send(path, '{"name": "Grüße"}'.encode("latin-1"))

    assert answer.status_code == 400
    assert answer.json()["detail"] == "byte 12 (0xfc) is not UTF-8"
    assert answer.json()["offset"] == 12


@pytest.mark.parametrize("digits", [str(2**64), str(-(2**63) - 1), "1" + "0" * 30, "9" * 300])
@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (TASKS, '{"name": "send", "input": {"n": [0, %s]}}', "input.n[1]"),
        (BATCH, '[{"name": "send"}, {"name": "send", "input": {"n": %s}}]', "[1].input.n"),
        (ORDER_RUNS, '{"input": %s}', "input"),
    ],
)
async def test_an_integer_beyond_64_bits_is_refused_rather_than_rounded(
    rest: Client, path: str, body: str, place: str, digits: str
) -> None:
    answer = await rest.send(path, (body % digits).encode())

    assert answer.status_code == 422
    assert "64 bits" in problems(answer)[place]


@pytest.mark.parametrize(
    "value", ["18446744073709551615", "-9223372036854775808", "12345678901234567890.5"]
)
async def test_long_numbers_that_can_be_kept_are_kept(
    rest: Client, harness: Harness, value: str
) -> None:
    body = f'{{"name": "send", "input": {{"n": {value}, "text": "{"9" * 40}"}}}}'

    receipt = (await rest.send(TASKS, body.encode())).json()

    shown = await rest.read(f"{TASKS}/{receipt['id']}")
    assert shown["input"] == {"n": json.loads(value), "text": "9" * 40}


async def test_deep_nesting_beside_a_long_number_is_refused(rest: Client) -> None:
    deep = "[" * 1000 + "9" * 30 + "]" * 1000

    answer = await rest.send(TASKS, f'{{"name": "send", "input": {{"n": {deep}}}}}'.encode())

    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("levels", [65, 500, 1000])
async def test_input_that_is_nested_too_deeply_is_refused(rest: Client, levels: int) -> None:
    deep = "[" * levels + "]" * levels
    plain = json.dumps(an_order())
    workflow = json.dumps(an_order(output="deep")).replace('"deep"', deep)

    answers = [
        await rest.send(TASKS, f'{{"name": "send", "input": {{"x": {deep}}}}}'.encode()),
        await rest.send(RUNS, f'{{"workflow": {plain}, "input": {deep}}}'.encode()),
        await rest.send(RUNS, f'{{"workflow": {workflow}}}'.encode()),
        await rest.send(WORKFLOWS, workflow.encode()),
    ]

    for answer in answers:
        assert answer.status_code == 422
        assert "levels deep" in next(iter(problems(answer).values()))


# --- what is not sent as JSON ---------------------------------------------------------------------


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""]
)
async def test_another_content_type_is_refused(rest: Client, path: str, type: str) -> None:
    answer = await rest.send(path, b"{}", **{"Content-Type": type})

    assert answer.status_code == 415
    assert answer.headers["accept"] == "application/json"
    assert "application/json" in answer.json()["detail"]


async def test_a_body_without_a_content_type_is_refused(rest: Client) -> None:
    assert (await rest.ask("POST", TASKS, content=b"{}")).status_code == 415


@pytest.mark.parametrize(
    "type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"]
)
async def test_json_under_its_other_names_is_taken(rest: Client, type: str) -> None:
    answer = await rest.send(TASKS, b'{"name": "send"}', **{"Content-Type": type})

    assert answer.status_code == 202


async def test_a_compressed_body_is_refused(rest: Client) -> None:
    answer = await rest.send(TASKS, b"\x1f\x8b", **{"Content-Encoding": "gzip"})

    assert answer.status_code == 415


# --- what is too large ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_that_says_it_is_too_large_is_refused_unread(rest: Client, path: str) -> None:
    chunks = _Chunks()

    answer = await rest.ask(
        "POST", path, content=chunks, headers={**JSON, "Content-Length": "50000000"}
    )

    assert answer.status_code == 413
    assert answer.json()["limit"] == (10 * MAX_BODY if path == BATCH else MAX_BODY)


@pytest.mark.parametrize("path", BODIES)
async def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(
    api: Any, path: str
) -> None:
    limit = 10 * MAX_BODY if path == BATCH else MAX_BODY
    sent = await _post_in_chunks(api, path, size=10_000, most=5000)

    assert sent.status == 413
    assert sent.chunks == limit // 10_000 + 1


async def test_a_client_that_goes_while_it_sends_does_no_harm(api: Any) -> None:
    sent = await _post_in_chunks(api, TASKS, size=10, most=3, then_leave=True)

    assert sent.status == 400


# --- sending in pieces ----------------------------------------------------------------------------


class _Chunks:
    """A body that must not be read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b""
        raise AssertionError("the body was read on")


class _Sent:
    """What became of a request that was sent in pieces."""

    status = 0
    chunks = 0


async def _post_in_chunks(
    api: Any, path: str, *, size: int, most: int, then_leave: bool = False
) -> _Sent:
    sent = _Sent()

    async def receive() -> dict[str, Any]:
        if sent.chunks == most and then_leave:
            return {"type": "http.disconnect"}
        sent.chunks += 1
        return {"type": "http.request", "body": b" " * size, "more_body": sent.chunks < most}

    async def send(message: Any) -> None:
        sent.status = sent.status or message["status"]

    headers = [(b"content-type", b"application/json"), (b"host", b"cueline.test")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("cueline.test", 80),
    }
    await api(scope, receive, send)
    return sent
