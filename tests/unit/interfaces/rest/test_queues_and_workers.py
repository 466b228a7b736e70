from __future__ import annotations

from tests.harness import Harness
from tests.unit.interfaces.rest.client import Client

QUEUES = "/api/v1/queues"


async def test_queues_are_listed_with_what_they_hold_and_who_serves_them(
    rest: Client, harness: Harness
) -> None:
    await harness.hire("default", "email", slots=4)
    await harness.submit("send")
    await harness.submit("print")

    listed = await rest.read(QUEUES)

    queues = {queue["name"]: queue for queue in listed["items"]}
    assert list(queues) == ["default", "email", "printer"]
    assert queues["default"] == {
        "name": "default",
        "paused": False,
        "counts": {
            "scheduled": 0,
            "queued": 1,
            "running": 0,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
        },
        "workers": 1,
        "slots": 4,
        "in_broker": 1,
        "links": {"self": f"{QUEUES}/default", "tasks": "/api/v1/tasks?queue=default"},
    }
    assert queues["printer"]["workers"] == 0


async def test_a_queue_is_shown(rest: Client, harness: Harness) -> None:
    await harness.submit("print")

    assert (await rest.read(f"{QUEUES}/printer"))["counts"]["queued"] == 1


async def test_the_depth_is_null_while_the_broker_does_not_answer(
    rest: Client, harness: Harness
) -> None:
    await harness.submit("print")
    harness.broker.refusing = frozenset({"depth"})

    assert (await rest.read(f"{QUEUES}/printer"))["in_broker"] is None


async def test_an_unknown_queue_is_not_found(rest: Client) -> None:
    assert (await rest.get(f"{QUEUES}/nowhere")).status_code == 404


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(
    rest: Client, harness: Harness
) -> None:
    paused = await rest.make(f"{QUEUES}/default/pause")
    await harness.submit()
    assert paused["paused"] is True
    assert await harness.work() == []

    resumed = await rest.make(f"{QUEUES}/default/resume")

    assert resumed["paused"] is False
    assert len(await harness.work()) == 1


async def test_pausing_twice_is_pausing_once(rest: Client) -> None:
    assert await rest.make(f"{QUEUES}/default/pause") == await rest.make(f"{QUEUES}/default/pause")


async def test_workers_are_listed_with_live_ones_first(rest: Client, harness: Harness) -> None:
    gone = await harness.hire(name="gone")
    live = await harness.hire("default", "email", slots=2, name="live")
    await harness.app.workers.goodbye(gone)

    listed = await rest.read("/api/v1/workers")

    assert [(worker["name"], worker["state"]) for worker in listed["items"]] == [
        ("live", "live"),
        ("gone", "stopped"),
    ]
    assert listed["items"][0] == {
        "id": live.id,
        "name": "live",
        "state": "live",
        "queues": ["default", "email"],
        "slots": 2,
        "started_at": "2026-03-01T12:00:00Z",
        "lease_until": "2026-03-01T12:00:15Z",
    }


async def test_so_many_workers_are_listed_as_are_asked_for(rest: Client, harness: Harness) -> None:
    for _ in range(3):
        await harness.hire()

    assert len((await rest.read("/api/v1/workers", params={"limit": 2}))["items"]) == 2


async def test_the_kinds_of_tasks_are_listed_with_their_schema(rest: Client) -> None:
    listed = await rest.read("/api/v1/task-definitions")

    kinds = {kind["name"]: kind for kind in listed["items"]}
    assert kinds["strict"]["schema"] == {"required": ["order"]}
    assert kinds["print"]["queue"] == "printer"
    assert kinds["send"]["retry"]["first"] == "10s"
