"""What production does to a service: it is killed, restarted, stopped, and used from two sides."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.processes import World, stopped, until, until_async

STEPS = {"first", "second", "left", "right", "last"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def start_run(client: httpx2.AsyncClient, workflow: str = "chain") -> str:
    answer = await client.post(f"/workflows/{workflow}/runs", json={"input": {}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def submit(client: httpx2.AsyncClient, task: str, /, **input: Any) -> str:
    answer = await client.post("/tasks", json={"name": task, "input": input})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def has_state(client: httpx2.AsyncClient, path: str, state: str) -> None:
    async def ask() -> bool:
        return bool((await client.get(path)).json()["state"] == state)

    await until_async(ask)


@pytest.mark.parametrize("held", ["first", "second", "left", "last"])
async def test_a_run_survives_kill_9_and_every_step_has_its_effect(world: World, held: str) -> None:
    world.hold(held)
    async with world.serving() as (process, client):
        run = await start_run(client)
        await until(lambda: f"begin-{held}" in world.effects)
        await stopped(process, signal.SIGKILL)
    world.let_go(held)
    async with world.serving() as (_, client):
        await has_state(client, f"/runs/{run}", "succeeded")
        found = (await client.get(f"/runs/{run}")).json()
        step = (await client.get(f"/tasks/{found['steps'][held]['task_id']}")).json()
        attempts = (await client.get(f"/tasks/{step['id']}/attempts")).json()["items"]
    # Every effect is there. One that came just before the kill may be there twice (a handler runs
    # at least once), but then under the same idempotency key.
    keys_by_effect: dict[str, set[str]] = {}
    for trace in world.traces:
        effect, key, _ = trace.split()
        keys_by_effect.setdefault(effect.removeprefix("begin-"), set()).add(key)
    assert keys_by_effect.keys() == STEPS <= set(world.effects)
    assert all(len(keys) == 1 for keys in keys_by_effect.values())
    assert found["output"] == {"last": "last"}
    # The attempt that was cut off counts, and its failure is on record.
    assert step["attempt"] == 2
    assert step["failures"] == 1
    assert [attempt["outcome"] for attempt in attempts] == ["failed", "succeeded"]
    assert attempts[0]["error"]["type"] == "WorkerLost"


async def test_what_was_submitted_before_kill_9_is_done_after_a_restart(world: World) -> None:
    async with world.serving() as (process, client):
        batch = [{"name": "work", "input": {"name": f"n{number}"}} for number in range(200)]
        answer = await client.post("/tasks/batch", json=batch)
        assert answer.status_code == 202
        await stopped(process, signal.SIGKILL)
    wanted = {f"n{number}" for number in range(200)}
    async with world.serving() as (_, client):
        await until(lambda: wanted <= set(world.effects))

        async def all_succeeded() -> bool:
            queue = (await client.get("/queues/default")).json()
            return bool(queue["counts"].get("succeeded") == 200)

        await until_async(all_succeeded)


async def test_sigterm_lets_what_is_running_finish(world: World) -> None:
    world.hold("a")
    async with world.serving() as (process, client):
        task = await submit(client, "work", name="a")
        await until(lambda: "begin-a" in world.effects)
        process.send_signal(signal.SIGTERM)
        await until(lambda: "finish" in (world.folder / "serve.log").read_text())
        world.let_go("a")
        assert await stopped_by_itself(process) == 0
    [found] = (await world.cli("tasks", "list"))["items"]
    assert found["id"] == task
    assert found["state"] == "succeeded"
    assert found["attempt"] == 1


@pytest.mark.parametrize("handler", ["work", "block"])
async def test_after_the_grace_period_tasks_are_released_without_being_charged(
    world: World, handler: str
) -> None:
    world.settings["CUELINE_GRACE"] = "0.2s"
    world.hold("a")
    async with world.serving() as (process, client):
        await submit(client, handler, name="a")
        await until(lambda: "begin-a" in world.effects)
        assert await stopped(process) == 0
    [found] = (await world.cli("tasks", "list"))["items"]
    assert found["state"] == "queued"
    assert found["attempt"] == 1
    assert found["failures"] == 0
    world.let_go("a")
    async with world.serving() as (_, client):
        await has_state(client, f"/tasks/{found['id']}", "succeeded")


async def stopped_by_itself(process: Any) -> int:
    return int(await asyncio.to_thread(process.wait, 30))


async def test_a_second_terminal_sees_and_steers_the_same_world(world: World) -> None:
    world.hold("a")
    async with world.serving() as (_, client):
        # The command line submits, the server's worker runs it.
        submitted = await world.cli("submit", "work", "name=a")
        await until(lambda: "begin-a" in world.effects)
        shown = await world.cli("tasks", "show", submitted["id"])
        assert shown["state"] == "running"
        # The command line cancels what the server runs, and the server's API shows it.
        await world.cli("tasks", "cancel", submitted["id"])
        await has_state(client, f"/tasks/{submitted['id']}", "cancelled")
        # Wrong input is refused in a process that has not loaded the application.
        refused = await world.cli("submit", "work", "nme=a", code=4)
        assert "nme" in str(refused)
        # A queue paused here starts nothing there.
        await world.cli("queues", "pause", "default")
        waiting = await submit(client, "work", name="b")
        explained = await client.get(f"/tasks/{waiting}/explain")
        assert "paused" in explained.text
        assert "begin-b" not in world.effects
        await world.cli("queues", "resume", "default")
        await has_state(client, f"/tasks/{waiting}", "succeeded")
        # Runs, too.
        run = await world.cli("runs", "start", "chain")
        await has_state(client, f"/runs/{run['id']}", "succeeded")
        # The cancelled handler was interrupted, although it is held still.
        assert "a" not in world.effects


async def test_the_service_retries_times_out_and_buries(world: World) -> None:
    async with world.serving() as (_, client):
        retried = await submit(client, "fail", times=2)
        dead = await submit(client, "fail", times=4)
        slow = await submit(client, "too_slow")
        await has_state(client, f"/tasks/{retried}", "succeeded")
        await has_state(client, f"/tasks/{dead}", "failed")
        await has_state(client, f"/tasks/{slow}", "failed")
        assert (await client.get(f"/tasks/{dead}")).json()["error"]["type"] == "ValueError"
        assert (await client.get(f"/tasks/{slow}")).json()["error"]["type"] == "TimeoutError"
        assert world.effects.count("slow") == 2
        # A dead task gets a new life by hand.
        await client.post(f"/tasks/{dead}/retry")
        await has_state(client, f"/tasks/{dead}", "succeeded")
