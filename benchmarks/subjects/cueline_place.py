"""Where Cueline works in the benchmark: a database, keys or queues of its own."""

from __future__ import annotations

from functools import cache
from urllib.parse import urlsplit

import aio_pika
import asyncpg
from redis.asyncio import Redis

from benchmarks.subjects.command import surroundings
from cueline.domain.task import DEFAULT_QUEUE
from cueline.infrastructure.rabbitmq.lanes import lanes_of
from cueline.infrastructure.redis.keys import Keys
from cueline.settings import Role, Settings


@cache
def settings() -> Settings:
    """Cueline's settings, from what the harness says."""
    where = surroundings("cueline", "store", "sqlite:///cueline-bench.db")
    return Settings(
        store=where.store_url,
        broker=where.url,
        namespace=where.namespace,
        concurrency=where.slots,
        roles=(Role.WORKER, Role.DISPATCHER),
    )


async def prepare(settings: Settings) -> None:
    """Make the place, which is not there."""
    if settings.store_kind == "postgres":
        await _administer(settings.store, 'CREATE DATABASE "{}"')


async def remove(settings: Settings) -> None:
    """Remove whatever is there, whoever is still connected."""
    if settings.store_kind == "postgres":
        await _administer(settings.store, 'DROP DATABASE IF EXISTS "{}" WITH (FORCE)')
    if settings.store_kind == "sqlite":
        path = settings.sqlite_path
        for file in path.parent.glob(f"{path.name}*"):  # the log and its index, too
            file.unlink()
    if settings.broker_kind == "redis":
        await _remove_keys(settings)
    if settings.broker_kind == "rabbitmq":
        await _remove_queues(settings)


async def _administer(url: str, statement: str) -> None:
    parts = urlsplit(url)
    connection = await asyncpg.connect(parts._replace(path="/postgres").geturl())
    try:
        await connection.execute(statement.format(parts.path[1:]))
    finally:
        await connection.close()


async def _remove_keys(settings: Settings) -> None:
    async with Redis.from_url(settings.broker) as redis:
        pattern = Keys(settings.namespace).pattern
        if keys := [key async for key in redis.scan_iter(pattern, count=1000)]:
            await redis.delete(*keys)


async def _remove_queues(settings: Settings) -> None:
    connection = await aio_pika.connect(settings.broker)
    async with connection, connection.channel() as channel:
        for lane in lanes_of(DEFAULT_QUEUE):
            await channel.queue_delete(lane.name(settings.namespace))
        await channel.exchange_delete(f"{settings.namespace}.events")
