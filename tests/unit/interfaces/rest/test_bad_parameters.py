"""Whatever a client sends, it is told what is wrong and where, and the service goes on."""

from __future__ import annotations

import pytest

from tests.harness import Harness
from tests.unit.interfaces.rest.bad_input import (
    RUNS,
    TASKS,
    WORKFLOWS,
    problems,
)
from tests.unit.interfaces.rest.client import Client

pytestmark = pytest.mark.usefixtures("goes_on")

AN_ID = "019ca945-0a01-7000-8000-019ca9450a01"
A_CURSOR = "MDE5Y2E5NDUtMGEwMS03MDAwLTgwMDAtMDE5Y2E5NDUwYTAx"


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
