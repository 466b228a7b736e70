"""Whatever a client sends, it is told what is wrong and where, and the service goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness import Harness
from tests.unit.interfaces.rest.client import JSON, Client
from tests.unit.interfaces.rest.conftest import MAX_BODY
from tests.unit.interfaces.rest.documents import an_order

TASKS = "/api/v1/tasks"
BATCH = "/api/v1/tasks/batch"
WORKFLOWS = "/api/v1/workflows"
RUNS = "/api/v1/runs"
ORDER_RUNS = "/api/v1/workflows/order/runs"
BODIES = [TASKS, BATCH, WORKFLOWS, RUNS, ORDER_RUNS]

AN_ID = "019ca945-0a01-7000-8000-019ca9450a01"
A_CURSOR = "MDE5Y2E5NDUtMGEwMS03MDAwLTgwMDAtMDE5Y2E5NDUwYTAx"


@pytest.fixture(autouse=True)
async def goes_on(rest: Client) -> AsyncIterator[None]:
    """After each of these requests the service must still do its work."""
    yield
    assert (await rest.post(TASKS, {"name": "send"})).status_code == 202


def problems(answer: Any) -> dict[str, str]:
    """What is wrong, by path."""
    return {problem["path"]: problem["message"] for problem in answer.json()["problems"]}


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
    workflow = json.dumps(an_order(output="deep")).replace('"deep"', deep)

    answers = [
        await rest.send(TASKS, f'{{"name": "send", "input": {{"x": {deep}}}}}'.encode()),
        await rest.send(
            RUNS, f'{{"workflow": {json.dumps(an_order())}, "input": {deep}}}'.encode()
        ),
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


# --- what the fields hold -------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, 7, "text", [], [{}]])
async def test_a_task_that_is_not_an_object_is_refused(rest: Client, body: Any) -> None:
    answer = await rest.send(TASKS, json.dumps(body).encode())

    assert answer.status_code == 422
    assert problems(answer) == {"": "must be an object"}


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"name": None}, "name", "string"),
        ({"name": 7}, "name", "string"),
        ({"name": ""}, "name", "no task is called"),
        ({"name": "se\0nd"}, "name", "no task is called"),
        ({"name": "nobody"}, "name", "known: charge, pack"),
        ({"name": "x" * 5000}, "name", "no task is called"),
        ({"input": None}, "input", "must be an object"),
        ({"input": [1]}, "input", "must be an object"),
        ({"name": "strict"}, "input.order", "is missing"),
        ({"queue": "no spaces"}, "queue", "is not a name"),
        ({"queue": "nul\0"}, "queue", "is not a name"),
        ({"queue": "q" * 101}, "queue", "is not a name"),
        ({"priority": "urgent"}, "priority", "critical, high, normal, low"),
        ({"priority": 1}, "priority", "critical, high, normal, low"),
        ({"delay": "soon"}, "delay", "is not a duration"),
        ({"delay": True}, "delay", "is not a duration"),
        ({"delay": []}, "delay", "30s"),
        ({"delay": -1}, "delay", "out of range"),
        ({"delay": 1e300}, "delay", "out of range"),
        ({"delay": "99999999999d"}, "delay", "out of range"),
        ({"delay": "9" * 60 + "d"}, "delay", "out of range"),
        ({"run_at": "2026-01-31T08:00:00"}, "run_at", "time zone"),
        ({"run_at": "2026-01-31"}, "run_at", "time zone"),
        ({"run_at": "tomorrow"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": 1767225600}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "2026-02-30T08:00:00Z"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "0001-01-01T00:00:00+23:00"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "9999-12-31T23:59:59-23:00"}, "run_at", "2026-01-31T08:00:00Z"),
        ({"run_at": "2027-01-01T00:00:00Z", "delay": "1s"}, "run_at", "not both"),
        ({"timeout": 0}, "timeout", "more than zero"),
        ({"retry": {"attempts": 0}}, "retry.attempts", "use 1 to 1000"),
        ({"retry": {"attempts": "3"}}, "retry.attempts", "whole number"),
        ({"retry": {"first": "soon"}}, "retry.first", "is not a duration"),
        ({"retry": {"backoff": "random"}}, "retry.backoff", "exponential"),
        ({"retry": {"times": 3}}, "retry.times", "no such field"),
        ({"retry": 3}, "retry", "must be an object"),
        ({"key": ""}, "key", "1 to 255"),
        ({"key": "k" * 256}, "key", "1 to 255"),
        ({"key": 7}, "key", "string"),
        ({"tags": ["t"] * 21}, "tags", "20 at most"),
        ({"tags": ["t", ""]}, "tags[1]", "1 to 100"),
        ({"tags": "shop"}, "tags", "must be an array"),
        ({"tags": [7]}, "tags[0]", "string"),
        ({"inputs": {}}, "inputs", "no such field; the fields are: name, input, queue"),
        ({"Name": "send"}, "Name", "no such field"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    rest: Client, fields: dict[str, Any], path: str, message: str
) -> None:
    task = {"name": "send", **fields}

    alone = await rest.post(TASKS, task)
    in_batch = await rest.post(BATCH, [{"name": "send"}, task])

    assert alone.status_code == in_batch.status_code == 422
    assert message in problems(alone)[path]
    assert message in problems(in_batch)[f"[1].{path}"]


async def test_everything_that_is_wrong_is_told_at_once(rest: Client) -> None:
    wrong = {"priority": "urgent", "delay": "soon", "retry": {"attempts": "x", "cap": []}}

    answer = await rest.post(TASKS, {"name": "send", **wrong})

    assert set(problems(answer)) == {"priority", "delay", "retry.attempts", "retry.cap"}


async def test_what_is_wrong_is_quoted_but_not_at_any_length(rest: Client) -> None:
    answer = await rest.post(TASKS, {"name": "send", "k" * 50_000: 1, "delay": "x" * 40_000})

    assert answer.status_code == 422
    assert len(answer.content) < 10_000


async def test_of_thousands_of_problems_the_first_hundred_are_told(rest: Client) -> None:
    answer = await rest.post(BATCH, [{"name": "nobody"}] * 1000)

    assert len(answer.json()["problems"]) == 101
    assert answer.json()["problems"][-1]["message"] == "and 900 problems more"


# --- workflows ------------------------------------------------------------------------------------

STEP = {"task": "send"}


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"name": "no spaces"}, "name", "is not a name"),
        ({"name": "nul\0"}, "name", "is not a name"),
        ({"name": None}, "name", "must be a text"),
        ({"version": 0}, "version", "from 1"),
        ({"version": 2**40}, "version", "from 1"),
        ({"version": "1"}, "version", "whole number"),
        ({"steps": {}}, "steps", "at least one"),
        ({"steps": []}, "steps", "must be an object"),
        ({"steps": {"a": {}}}, "steps.a.task", "must be a text"),
        ({"steps": {"a": {**STEP, "need": "b"}}}, "steps.a.need", "no such field"),
        ({"steps": {"a": {**STEP, "after": ["b"]}}}, "steps.a.after[0]", "there is no step 'b'"),
        ({"steps": {"a": {**STEP, "input": {"x": "${wrong"}}}}, "steps.a.input", "without"),
        ({"steps": {"a": {"task": "nobody"}}}, "steps.a.task", "no task is called"),
        ({"steps": {"a": {**STEP, "priority": "urgent"}}}, "steps.a.priority", "is none of"),
        ({"steps": {"a": {**STEP, "retry": {"attempts": 0}}}}, "steps.a.retry.attempts", "1 to"),
        ({"steps": {"a": {**STEP, "timeout": "soon"}}}, "steps.a.timeout", "not a duration"),
        (
            {"steps": {"a": {**STEP, "after": ["b"]}, "b": {**STEP, "after": ["a"]}}},
            "steps.a",
            "in a circle: a -> b -> a",
        ),
        ({"extra": 1}, "extra", "no such field"),
    ],
)
async def test_a_workflow_that_cannot_run_is_refused_with_the_place(
    rest: Client, changes: dict[str, Any], path: str, message: str
) -> None:
    workflow = {"name": "order", "steps": {"a": STEP}, **changes}

    registered = await rest.post(WORKFLOWS, workflow)
    inline = await rest.post(RUNS, {"workflow": workflow})

    assert registered.status_code == inline.status_code == 422
    assert registered.json()["type"] == "urn:cueline:problem:invalid-definition"
    assert inline.json()["type"] == "urn:cueline:problem:invalid-definition"
    assert message in problems(registered)[path]
    assert message in problems(inline)[f"workflow.{path}"]


@pytest.mark.parametrize("workflow", [None, 7, "order", []])
async def test_a_workflow_that_is_not_an_object_is_refused(rest: Client, workflow: Any) -> None:
    registered = await rest.send(WORKFLOWS, json.dumps(workflow).encode())
    inline = await rest.post(RUNS, {"workflow": workflow})

    assert registered.status_code == inline.status_code == 422


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"version": 0}, "version"),
        ({"version": 2**31}, "version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"key": ""}, "key"),
        ({"inputs": {}}, "inputs"),
        ([], ""),
    ],
)
async def test_a_request_for_a_run_that_cannot_be_used_is_refused(
    rest: Client, body: Any, path: str
) -> None:
    await rest.make(WORKFLOWS, an_order())

    answer = await rest.post(ORDER_RUNS, body)

    assert answer.status_code == 422
    assert path in problems(answer)


async def test_an_inline_run_without_a_workflow_is_refused(rest: Client) -> None:
    answer = await rest.post(RUNS, {"input": {}})

    assert problems(answer) == {"workflow": "is missing"}


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["7", "abc", "019ca945", "%00", "..%2F", "%FF", "x" * 1000])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{TASKS}/{{}}"),
        ("GET", f"{TASKS}/{{}}/attempts"),
        ("GET", f"{TASKS}/{{}}/logs"),
        ("GET", f"{TASKS}/{{}}/explain"),
        ("GET", f"{TASKS}/{{}}/events"),
        ("POST", f"{TASKS}/{{}}/cancel"),
        ("POST", f"{TASKS}/{{}}/retry"),
        ("POST", f"{TASKS}/{{}}/promote"),
        ("GET", f"{RUNS}/{{}}"),
        ("GET", f"{RUNS}/{{}}/history"),
        ("GET", f"{RUNS}/{{}}/events"),
        ("POST", f"{RUNS}/{{}}/cancel"),
    ],
)
async def test_an_id_that_is_none_is_refused(rest: Client, method: str, path: str, id: str) -> None:
    answer = await rest.ask(method, path.format(id))

    assert answer.status_code in (404, 422)
    if answer.status_code == 422:
        assert "must be a UUID" in problems(answer).values()


@pytest.mark.parametrize("name", ["no%20spaces", "%00", "q%00", "7up", "q" * 101])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/queues/{}"),
        ("POST", "/api/v1/queues/{}/pause"),
        ("POST", "/api/v1/queues/{}/resume"),
        ("GET", f"{WORKFLOWS}/{{}}/versions/1"),
    ],
)
async def test_a_name_that_is_none_is_refused(
    rest: Client, method: str, path: str, name: str
) -> None:
    answer = await rest.ask(method, path.format(name))

    assert answer.status_code == 422
    assert "is not a name" in problems(answer)["name"]


@pytest.mark.parametrize("version", ["0", "-1", "x", "1.5", str(2**31), str(2**70)])
async def test_a_version_that_is_none_is_refused(rest: Client, version: str) -> None:
    answer = await rest.get(f"{WORKFLOWS}/order/versions/{version}")

    assert answer.status_code == 422
    assert "version" in problems(answer)


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        (TASKS, "limit=0", "limit"),
        (TASKS, "limit=1001", "limit"),
        (TASKS, "limit=many", "limit"),
        (TASKS, f"limit={2**70}", "limit"),
        (TASKS, "cursor=!!", "cursor"),
        (TASKS, "cursor=abc", "cursor"),
        (TASKS, f"cursor={A_CURSOR[:-4]}", "cursor"),
        (TASKS, "cursor=" + "A" * 5000, "cursor"),
        (TASKS, "cursor=%C3%BC", "cursor"),
        (TASKS, "state=done", "state[0]"),
        (TASKS, "queue=no%20spaces", "queue"),
        (TASKS, "name=%00", "name"),
        (TASKS, "tag=%00", "tag"),
        (TASKS, "run=7", "run"),
        (TASKS, "stat=running", "stat"),
        (RUNS, "limit=0", "limit"),
        (RUNS, "cursor=abc", "cursor"),
        (RUNS, "state=queued", "state[0]"),
        (RUNS, "workflow=%00", "workflow"),
        (RUNS, "name=order", "name"),
        (f"{TASKS}/{AN_ID}/logs", "cursor=abc", "cursor"),
        (f"{TASKS}/{AN_ID}/logs", f"cursor={A_CURSOR}", "cursor"),
        (f"{TASKS}/{AN_ID}/logs", "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk", "cursor"),
        (f"{TASKS}/{AN_ID}/logs", "limit=-1", "limit"),
        (f"{RUNS}/{AN_ID}/history", "cursor=abc", "cursor"),
        ("/api/v1/workers", "limit=0", "limit"),
        ("/api/v1/workers", "page=2", "page"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(
    rest: Client, path: str, query: str, place: str
) -> None:
    answer = await rest.get(f"{path}?{query}")

    assert answer.status_code == 422
    assert place in problems(answer)


@pytest.mark.parametrize("of", ["tasks", "runs"])
@pytest.mark.parametrize("last", ["x", "-1", "1e3", "9" * 30, "1.", "1.2.3"])
async def test_a_stream_cannot_be_resumed_from_what_is_no_event(
    rest: Client, harness: Harness, of: str, last: str
) -> None:
    answer = await rest.get(
        f"/api/v1/{of}/{harness.ids.new()}/events", headers={"Last-Event-ID": last}
    )

    assert answer.status_code == 422
    assert "Last-Event-ID" in problems(answer)


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
