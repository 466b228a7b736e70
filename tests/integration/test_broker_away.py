"""The broker is away, at the start or in the middle: work goes on from the store until it is back.

Once the gate before it is shut: connections are cut and refused. And once it swallows: connections
stand, new ones are made, and nothing is ever answered.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import pytest

from tests.integration.gate import Gate, by_way_of, gate_before
from tests.integration.processes import World, ended, submit, until, until_async

BROKERS = ("redis", "rabbitmq")
SUBMITS = 100
FEW_LINES = 20
"""How many warnings an outage may be worth to one process; most come when it begins."""

FROM_STORE = "cueline_tasks_taken_from_store_total"


@dataclass
class Service:
    """A service on PostgreSQL, and a gate before its broker."""

    world: World
    gate: Gate
    client: httpx2.AsyncClient

    async def until_health_is(self, wanted: str) -> None:
        async def is_so() -> bool:
            return await self.world.health(self.client) == wanted

        await until_async(is_so)

    async def figure(self, name: str) -> float:
        return (await self.world.figures(self.client))[name]

    async def work(self, name: str, **options: Any) -> str:
        return await submit(self.client, "work", {"name": name}, **options)

    async def is_served_by_its_broker(self) -> None:
        """Check that all is as if nothing had been."""
        await self.until_health_is("ok")

        async def tasks_come_by_messages() -> bool:
            """Without hurry: what stands in a backlog may be taken from the store at any time."""
            before = await self.figure(FROM_STORE)
            for _ in range(5):
                await ended(self.client, await self.work("after"))
            return await self.figure(FROM_STORE) == before

        await until_async(tasks_come_by_messages)
        assert await self.figure("cueline_broker_up") == 1


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.server) for name in BROKERS])
def broker_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def gate(broker_url: str) -> AsyncIterator[Gate]:
    async with gate_before(broker_url) as gate:
        yield gate


@pytest.fixture
def world(tmp_path: Path, postgres_url: str, broker_url: str, gate: Gate, namespace: str) -> World:
    return World(
        tmp_path,
        settings={
            "CUELINE_STORE": postgres_url,
            "CUELINE_BROKER": by_way_of(broker_url, gate.port),
            "CUELINE_NAMESPACE": namespace,
            "CUELINE_QUEUES": "default,paused",
            "CUELINE_CONCURRENCY": "1",
        },
    )


@asynccontextmanager
async def serving(world: World, gate: Gate) -> AsyncIterator[Service]:
    async with world.serving() as (_, client):
        yield Service(world, gate, client)


async def test_a_service_begins_without_its_broker_and_takes_to_it_when_it_comes(
    world: World, gate: Gate
) -> None:
    await gate.shut()
    async with serving(world, gate) as service:
        assert await world.health(service.client) == "degraded"
        assert await service.figure("cueline_broker_up") == 0
        await ended(service.client, await service.work("without"))
        assert await service.figure(FROM_STORE) == 1
        await gate.open()
        await service.is_served_by_its_broker()


# --- in the middle --------------------------------------------------------------------------------


@asynccontextmanager
async def cut(gate: Gate) -> AsyncIterator[None]:
    await gate.shut()
    yield
    await gate.open()


@asynccontextmanager
async def swallow(gate: Gate) -> AsyncIterator[None]:
    gate.hold()
    yield
    gate.release()


Fault: TypeAlias = Callable[[Gate], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize("fault", [cut, swallow], ids=["cut", "swallow"])
async def test_work_goes_on_without_the_broker_and_with_it_again(
    world: World, gate: Gate, fault: Fault, request: pytest.FixtureRequest
) -> None:
    async with serving(world, gate) as service:
        await service.is_served_by_its_broker()
        before = unwelcome(world.log())
        async with fault(gate):
            took = await submit_many(service)
            await delays_hold(service)
            await priorities_hold(service)
            await pauses_hold(service)
            assert await world.health(service.client) == "degraded"
            assert await service.figure("cueline_broker_up") == 0
            assert await service.figure(FROM_STORE) > 0
        await service.is_served_by_its_broker()
        log = world.log()
    warnings = unwelcome(log) - before
    p50, worst = statistics.median(took), max(took)
    print(  # noqa: T201  # figures to be read in the log of CI
        f"without its broker ({request.node.callspec.id}): {SUBMITS} submits, "
        f"p50 {1000 * p50:.1f} ms, max {1000 * worst:.0f} ms, {warnings} warnings"
    )
    assert warnings <= FEW_LINES, log
    assert "Traceback" not in log


def unwelcome(log: str) -> int:
    """How many lines of a log ask for attention."""
    return sum(log.count(f'"level": "{level}"') for level in ("warning", "error", "critical"))


async def submit_many(service: Service) -> list[float]:
    """How long each of many submits took, in seconds; all are done when it returns."""
    took = []
    ids = []
    for number in range(SUBMITS):
        began = time.monotonic()
        ids.append(await service.work(f"n{number}"))
        took.append(time.monotonic() - began)
    await ended(service.client, *ids)
    return took


async def delays_hold(service: Service) -> None:
    later = await service.work("later", delay="500ms")
    now = await service.work("now")
    await ended(service.client, now, later)
    assert service.world.effects.index("now") < service.world.effects.index("begin-later")


async def priorities_hold(service: Service) -> None:
    """One slot is held until all have been submitted: then the order is theirs."""
    service.world.hold("blocker")
    blocker = await service.work("blocker")
    await until(lambda: "begin-blocker" in service.world.effects)
    submitted = [
        await service.work(priority, priority=priority)
        for priority in ("low", "normal", "critical", "high")
    ]
    service.world.let_go("blocker")
    await ended(service.client, blocker, *submitted)
    begun = [effect for effect in service.world.effects if effect.startswith("begin-")]
    assert begun[-4:] == ["begin-critical", "begin-high", "begin-normal", "begin-low"]


async def pauses_hold(service: Service) -> None:
    client = service.client
    assert (await client.post("/queues/paused/pause")).status_code == 200
    held = await service.work("held", queue="paused", priority="critical")
    await ended(client, *[await service.work(f"passing{n}") for n in range(3)])
    assert (await client.get(f"/tasks/{held}")).json()["state"] == "queued"
    assert (await client.post("/queues/paused/resume")).status_code == 200
    await ended(client, held)
