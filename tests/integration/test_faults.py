"""20,000 tasks, four workers, and something breaks in the middle: each is done, none is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import aio_pika
import asyncpg
import pytest
from redis.asyncio import Redis

from cueline.application.tasks import Submission
from cueline.domain.task import Priority
from cueline.infrastructure.rabbitmq.lanes import Lane
from cueline.loading import load_settings
from cueline.runtime import open_application
from tests.integration.app import bulk
from tests.integration.processes import World, stopped
from tests.integration.servers.server import Server

COUNT = 20_000
WORKERS = 4
EARLY = COUNT // 4
"""After how many handled tasks the fault happens."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Load:
    """The tasks, the workers, and what is known of both."""

    world: World
    database: str
    namespace: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def handled(self) -> Counter[int]:
        """How often the handler ran for each number."""
        traces = self.world.folder.glob("effects.txt.*")
        return Counter(int(line) for trace in traces for line in trace.read_text().splitlines())

    async def query(self, sql: str) -> list[asyncpg.Record]:
        """Ask the store's database."""
        connection = await asyncpg.connect(self.database)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    async def ended(self) -> int:
        """How many tasks have ended."""
        [row] = await self.query(
            "SELECT count(*) FROM tasks WHERE state IN ('succeeded', 'failed', 'cancelled')"
        )
        return int(row[0])

    async def until_ended(self, count: int, patience: float = 180) -> None:
        """Return once so many have ended."""
        deadline = time.monotonic() + patience
        while (present := await self.ended()) < count:
            assert time.monotonic() < deadline, f"only {present} of {count} ended\n{self.logs()}"
            await asyncio.sleep(0.1)

    def logs(self) -> str:
        """The end of what the workers said."""
        return (self.world.folder / "worker.log").read_text()[-3000:]


Fault: TypeAlias = Callable[[Load], Awaitable[None]]


@asynccontextmanager
async def under_load(
    folder: Path, database: str, broker: str, namespace: str, seconds: float = 0
) -> AsyncIterator[Load]:
    """Four workers at 20,000 tasks, each of which takes so long."""
    selected = {"STORE": database, "BROKER": broker, "NAMESPACE": namespace, "LEASE": "4s"}
    world = World(
        folder,
        app="tests.integration.app.bulk:app",
        settings={f"CUELINE_{name}": value for name, value in selected.items()},
    )
    load = Load(world, database, namespace)
    settings = load_settings(store=database, broker=broker, namespace=namespace)
    async with open_application(settings, bulk.app) as application:
        for first in range(0, COUNT, 1000):
            numbers = range(first, first + 1000)
            await application.submit(
                [Submission("count", {"number": n, "seconds": seconds}) for n in numbers]
            )
    try:
        load.workers = [world.start("worker") for _ in range(WORKERS)]
        yield load
    finally:
        for worker in load.workers:
            worker.kill()
            await asyncio.to_thread(worker.wait)


async def survives(load: Load, fault: Fault, what: str) -> None:
    """Let the fault happen in the middle, and check that nothing came of it but delay."""
    await load.until_ended(EARLY)
    at_fault = await load.ended()
    assert at_fault < COUNT / 2, "it was too late for the fault: the test shows nothing"
    began = time.monotonic()
    await fault(load)
    after_fault = await load.ended()
    await load.until_ended(COUNT)
    took = time.monotonic() - began
    states = await load.query("SELECT state, count(*) FROM tasks GROUP BY state")
    assert {row[0]: row[1] for row in states} == {"succeeded": COUNT}
    # A task's version moves with each claim and with each outcome: so each claim had one outcome.
    [wrong] = await load.query("SELECT count(*) FROM tasks WHERE version <> 1 + 2 * attempt")
    handled = load.handled
    assert set(handled) == set(range(COUNT))
    again = handled.total() - COUNT
    print(  # noqa: T201  # figures to be read in the log of CI
        f"{what}: from {at_fault} to {after_fault} of {COUNT} ended; lost 0, outcomes beside a "
        f"claim {wrong[0]}, executed again {again}; the rest took {took:.1f} s"
    )
    assert wrong[0] == 0


# --- the faults -----------------------------------------------------------------------------------


async def cut_all_connections(load: Load) -> None:
    await load.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def truncate_messages(load: Load) -> None:
    await load.query("TRUNCATE messages")


async def kill_a_worker(load: Load) -> None:
    await stopped(load.workers[0], signal.SIGKILL)


# --- the tests ------------------------------------------------------------------------------------


@pytest.fixture(params=["postgres", "redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of each broker in turn."""
    if request.param == "postgres":
        return "store"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


async def test_every_connection_to_the_store_is_cut(
    tmp_path: Path, postgres_url: str, broker: str, namespace: str
) -> None:
    async with under_load(tmp_path, postgres_url, broker, namespace) as load:
        await survives(load, cut_all_connections, "pg_terminate_backend")


async def test_a_worker_is_killed(
    tmp_path: Path, postgres_url: str, broker: str, namespace: str
) -> None:
    async with under_load(tmp_path, postgres_url, broker, namespace) as load:
        await survives(load, kill_a_worker, "kill -9 of a worker")


async def test_the_messages_in_postgres_are_truncated(
    tmp_path: Path, postgres_url: str, namespace: str
) -> None:
    async with under_load(tmp_path, postgres_url, "store", namespace) as load:
        await survives(load, truncate_messages, "TRUNCATE of the messages")


async def test_redis_is_flushed(
    tmp_path: Path, postgres_url: str, redis_url: str, redis_server: Server, namespace: str
) -> None:
    async def flush(_: Load) -> None:
        async with Redis.from_url(redis_url) as redis:
            await (redis.flushall() if redis_server.controllable else redis.flushdb())

    async with under_load(tmp_path, postgres_url, redis_url, namespace) as load:
        await survives(load, flush, "FLUSHALL of Redis")


async def test_rabbitmq_is_restarted_and_its_queues_are_gone(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, rabbitmq_server: Server, namespace: str
) -> None:
    async def restart(_: Load) -> None:
        await asyncio.to_thread(rabbitmq_server.stop)
        await asyncio.sleep(1)
        await asyncio.to_thread(rabbitmq_server.start)
        await delete_queues(rabbitmq_url, namespace)

    # A restart takes some 8 s, in which the workers go on: there has to be work left afterwards.
    async with under_load(tmp_path, postgres_url, rabbitmq_url, namespace, seconds=0.2) as load:
        await survives(load, restart, "restart of RabbitMQ, queues deleted")


async def test_the_queues_of_rabbitmq_are_deleted(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, namespace: str
) -> None:
    async def delete(_: Load) -> None:
        await delete_queues(rabbitmq_url, namespace)

    async with under_load(tmp_path, postgres_url, rabbitmq_url, namespace) as load:
        await survives(load, delete, "queues of RabbitMQ deleted")


async def delete_queues(url: str, namespace: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        for priority in Priority:
            name = Lane("default", priority).name(namespace)
            await (await channel.get_queue(name)).delete(if_unused=False, if_empty=False)
