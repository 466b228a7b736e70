"""Whoever can write to the broker can waste a moment of ours: a warning, a count, and that is all.

Each service is given thousands of messages that it never wrote, with proper work between them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import aio_pika
import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis

from cueline.application.ports.broker import Message
from cueline.application.ports.events import EventBus
from cueline.container import Container
from cueline.domain.events import Event, Subject
from cueline.domain.identifiers import TaskId
from cueline.domain.task import DEFAULT_QUEUE, Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.rabbitmq.lanes import Lane
from cueline.infrastructure.redis.keys import Keys
from cueline.loading import load_settings
from tests.integration.processes import World, submit, until_async

EACH = 1000
"""How many hostile messages there are of each kind."""

PROPER = 1000
ELSEWHERE = "elsewhere"
"""A queue that nobody serves."""

FAR_AHEAD = 2**62
"""A moment until which somebody pretends to hold messages, which would fill the window for ever."""

FEW_LINES = 10
LANE = Lane(DEFAULT_QUEUE, Priority.HIGH)
"""Where the hostile messages are put: before the proper ones."""


@dataclass
class Victim:
    """A service, its client, and how to write to its broker."""

    world: World
    client: httpx2.AsyncClient
    settings: dict[str, str]
    namespace: str

    @property
    def store(self) -> str:
        return self.settings["store"]

    async def refused(self) -> dict[str, float]:
        """How many hints the service has refused, by reason."""
        figures = await self.world.figures(self.client)
        return {
            name.split('"')[1]: count
            for name, count in figures.items()
            if name.startswith("cueline_hints_refused_total{")
        }

    async def submit_many(self, count: int, queue: str = DEFAULT_QUEUE) -> list[str]:
        batch = [{"name": "count", "input": {"number": n}, "queue": queue} for n in range(count)]
        answer = await self.client.post("/tasks/batch", json=batch)
        assert answer.status_code == 202, answer.text
        return [item["id"] for item in answer.json()["items"]]

    async def query(self, sql: str) -> int:
        connection = await asyncpg.connect(self.store)
        try:
            return int(await connection.fetchval(sql))
        finally:
            await connection.close()


Attack: TypeAlias = Callable[[Victim, Sequence[str]], Awaitable[dict[str, int]]]
"""Puts hostile messages, and hints of tasks of another queue; how many are to be refused, why."""


def forged_hints(elsewhere: Sequence[str]) -> dict[str, list[bytes]]:
    """The hostile messages as bytes, by the reason for which they must be refused."""
    right = [encode(Message(TaskId(str(uuid4())), *LANE)) for _ in range(EACH)]
    return {
        "unknown": right,
        "misdirected": [encode(Message(TaskId(id), *LANE)) for id in elsewhere],
        "malformed": [
            *(os.urandom(50) for _ in range(EACH)),
            *(b"0" + hint[1:] for hint in right),  # an old version
            *(encode(Message(TaskId(id), ELSEWHERE, Priority.LOW)) for id in elsewhere),
        ],
    }


async def attack_redis(victim: Victim, elsewhere: Sequence[str]) -> dict[str, int]:
    hints = forged_hints(elsewhere)
    keys = Keys(victim.namespace)
    hoarded = [b"1 %d 1 " % FAR_AHEAD + hint for hint in forged_hints(())["unknown"]]
    async with Redis.from_url(victim.settings["broker"]) as redis:
        await redis.zadd(keys.taken(DEFAULT_QUEUE), dict.fromkeys(hoarded, FAR_AHEAD))
        for some in hints.values():
            await redis.zadd(keys.waiting(*LANE), dict.fromkeys(some, -1))
    refused = {reason: len(some) for reason, some in hints.items()}
    return {**refused, "unknown": refused["unknown"] + len(hoarded)}


async def attack_rabbitmq(victim: Victim, elsewhere: Sequence[str]) -> dict[str, int]:
    hints = forged_hints(elsewhere)
    lane = LANE.name(victim.namespace)
    connection = await aio_pika.connect(victim.settings["broker"])
    async with connection, connection.channel() as channel:
        for some in hints.values():
            bodies = map(aio_pika.Message, some)
            await asyncio.gather(*(channel.default_exchange.publish(body, lane) for body in bodies))
    return {reason: len(some) for reason, some in hints.items()}


async def attack_postgres(victim: Victim, elsewhere: Sequence[str]) -> dict[str, int]:
    high = int(LANE.priority)
    rows: dict[str, list[tuple[str, str, int, int | None]]] = {
        "unknown": [
            *((str(uuid4()), DEFAULT_QUEUE, high, None) for _ in range(EACH)),
            *((str(uuid4()), DEFAULT_QUEUE, high, FAR_AHEAD) for _ in range(EACH)),
        ],
        "misdirected": [(id, DEFAULT_QUEUE, high, None) for id in elsewhere],
        "malformed": [
            *((f"no task {n}", DEFAULT_QUEUE, high, None) for n in range(EACH)),
            *((str(uuid4()), DEFAULT_QUEUE, -n, None) for n in range(1, EACH + 1)),
            *((str(uuid4()), DEFAULT_QUEUE, 3 + n, None) for n in range(1, EACH + 1)),
        ],
    }
    unserved = [(str(uuid4()), "q" * 100, high, None) for _ in range(EACH)]
    connection = await asyncpg.connect(victim.store)
    try:
        await connection.executemany(
            "INSERT INTO messages (task_id, queue, priority, taken_until) VALUES ($1, $2, $3, $4)",
            [*(row for some in rows.values() for row in some), *unserved],
        )
    finally:
        await connection.close()
    return {reason: len(some) for reason, some in rows.items()}


ATTACKS: dict[str, Attack] = {
    "postgres": attack_postgres,
    "redis": attack_redis,
    "rabbitmq": attack_rabbitmq,
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.server) for name in ATTACKS])
def broker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, broker: str, postgres_url: str, namespace: str
) -> dict[str, str]:
    url = "store" if broker == "postgres" else str(request.getfixturevalue(f"{broker}_url"))
    return {"store": postgres_url, "broker": url, "namespace": namespace}


@pytest.fixture
async def victim(tmp_path: Path, settings: dict[str, str], namespace: str) -> AsyncIterator[Victim]:
    world = World(
        tmp_path,
        app="tests.integration.app.bulk:app",
        settings={f"CUELINE_{name.upper()}": value for name, value in settings.items()},
    )
    async with world.serving() as (_, client):
        yield Victim(world, client, settings, namespace)


async def test_hostile_messages_are_counted_and_do_nothing(victim: Victim, broker: str) -> None:
    elsewhere = await victim.submit_many(EACH, ELSEWHERE)
    await victim.submit_many(PROPER // 2)
    expected = await ATTACKS[broker](victim, elsewhere)
    await victim.submit_many(PROPER // 2)

    async def all_proper_ones_are_done() -> bool:
        done = "SELECT count(*) FROM tasks WHERE queue = 'default' AND state = 'succeeded'"
        return await victim.query(done) == PROPER

    async def all_hostile_ones_are_refused() -> bool:
        return await victim.refused() == expected

    await until_async(all_proper_ones_are_done)
    await until_async(all_hostile_ones_are_refused)
    await until_async(lambda: broker_is_empty(victim))
    assert await victim.query("SELECT count(*) FROM tasks") == PROPER + EACH
    untouched = "SELECT count(*) FROM tasks WHERE queue = 'elsewhere' AND version = 1"
    assert await victim.query(untouched) == EACH
    log = victim.world.log()
    warnings = log.count('"level": "warning"')
    print(f"{broker}: refused {expected}, in {warnings} lines of log")  # noqa: T201
    assert warnings <= FEW_LINES, log
    assert "Traceback" not in log


async def broker_is_empty(victim: Victim) -> bool:
    async with parts_of(victim) as container:
        broker = container.broker()
        await broker.open()
        try:
            return not sum((await broker.depths(DEFAULT_QUEUE)).values())
        finally:
            await broker.close()


@asynccontextmanager
async def parts_of(victim: Victim) -> AsyncIterator[Container]:
    """The adapters of the same settings, as another process has them."""
    container = Container(settings=load_settings(**victim.settings), definitions=(), handlers={})
    store = container.store()
    await store.open()
    for listener in container.listeners():
        await listener.open()
    try:
        yield container
    finally:
        for listener in container.listeners():
            await listener.close()
        await store.close()


# --- events ---------------------------------------------------------------------------------------


@asynccontextmanager
async def other_bus(victim: Victim) -> AsyncIterator[EventBus]:
    """The event bus as another process has it, once it knows that somebody listens."""
    async with parts_of(victim) as container:
        bus = container.bus()
        await bus.open()
        try:
            await until_async(lambda: _is_watched(bus))
            yield bus
        finally:
            await bus.close()


async def _is_watched(bus: EventBus) -> bool:
    return bus.is_watched


async def test_a_forged_event_is_not_told_and_hides_nothing(victim: Victim) -> None:
    id = await submit(victim.client, "count", {"number": 1}, delay="1.5s")
    async with victim.client.stream("GET", f"/tasks/{id}/events") as stream:
        lines = stream.aiter_lines()
        async with other_bus(victim) as bus:
            now = datetime.now(UTC)
            forged = [
                Event(Subject.TASK, id, sequence, "status", now, {"state": state, "attempt": 9})
                for state in ("running", "succeeded", "failed")
                for sequence in (2, 2**40)
            ]
            await bus.publish(forged)
            frames = [
                json.loads(line.removeprefix("data: "))
                async for line in lines
                if line.startswith("data: ")
            ]
    states = [(frame["state"], frame.get("attempt")) for frame in frames if "version" in frame]
    assert states == [("scheduled", 0), ("running", 1), ("succeeded", 1)]
    assert frames[-1]["output"] == 1
