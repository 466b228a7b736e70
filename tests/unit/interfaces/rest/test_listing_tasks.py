from __future__ import annotations

import pytest

from cueline.domain.errors import PermanentError
from cueline.domain.identifiers import TaskId
from cueline.domain.json import Json
from cueline.domain.task import Task
from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client

TASKS = "/api/v1/tasks"


async def test_tasks_are_listed_newest_first_in_pages(rest: Client, harness: Harness) -> None:
    ids = [(await harness.submit()).id for _ in range(5)]

    first = await rest.read(TASKS, params={"limit": 2})
    second = await rest.read(TASKS, params={"limit": 2, "cursor": first["next"]})
    third = await rest.read(TASKS, params={"limit": 2, "cursor": second["next"]})

    pages = [[item["id"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert third["next"] is None


async def test_a_last_page_that_is_full_leads_nowhere(rest: Client, harness: Harness) -> None:
    for _ in range(2):
        await harness.submit()

    assert (await rest.read(TASKS, params={"limit": 2}))["next"] is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["queued"], {"ready"}),
        (["scheduled"], {"later"}),
        (["queued", "scheduled"], {"ready", "later"}),
        (["running"], {"claimed"}),
        (["queued", "running"], {"ready", "claimed"}),
        (["succeeded"], {"done"}),
        (["failed"], {"broken"}),
        (["cancelled"], {"dropped"}),
        (["failed", "cancelled"], {"broken", "dropped"}),
        ([], {"ready", "later", "claimed", "done", "broken", "dropped"}),
    ],
)
async def test_tasks_are_listed_by_state(
    rest: Client, harness: Harness, states: list[str], expected: set[str]
) -> None:
    await _one_of_each_state(harness)

    listed = await rest.read(TASKS, params={"state": states})

    assert {item["tags"][0] for item in listed["items"]} == expected
    if len(states) == 1:
        assert {item["state"] for item in listed["items"]} == set(states)


async def test_scheduled_cannot_be_listed_along_with_later_states(rest: Client) -> None:
    answer = await rest.get(TASKS, params={"state": ["scheduled", "running"]})

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == "state"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({"queue": "email"}, {0, 1}), ({"name": "print"}, {2}), ({"tag": "eu"}, {1, 2})],
)
async def test_tasks_are_listed_by_queue_name_and_tag(
    rest: Client, harness: Harness, wanted: dict[str, str], expected: set[int]
) -> None:
    await harness.submit("send", {"n": 0}, queue="email", tags=("us",))
    await harness.submit("send", {"n": 1}, queue="email", tags=("eu", "us"))
    await harness.submit("print", {"n": 2}, tags=("eu",))

    listed = await rest.read(TASKS, params=wanted)

    assert {item["input"]["n"] for item in listed["items"]} == expected


def _fail_for_good(_: Task) -> Json:
    raise PermanentError("no such address")


async def _one_of_each_state(harness: Harness) -> None:
    harness.on("print", _fail_for_good)
    await harness.submit("send", tags=("done",))
    await harness.submit("print", queue="default", tags=("broken",))
    await harness.work()
    await harness.submit("send", tags=("claimed",))
    await harness.claim_one()
    dropped = await harness.submit("send", tags=("dropped",))
    await harness.app.tasks.cancel([TaskId(dropped.id)])
    await harness.submit("send", tags=("ready",))
    later = harness.clock.advance(0).replace(year=2027)
    await harness.submit("send", tags=("later",), run_at=later)
