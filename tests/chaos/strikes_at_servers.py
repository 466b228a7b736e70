"""What befalls the servers: they are restarted, killed, emptied, cut off, or out of reach."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from tests.chaos.world import World
from tests.integration.servers.server import Server

SWEEPS = 5
"""How often the connections of PostgreSQL are cut in one loop."""


async def _again_and_again(
    world: World, count: int, ways: Sequence[tuple[str, Callable[[], Awaitable[object]]]]
) -> None:
    """Strike in one way after another, each time when all goes on again after the last."""
    for number in range(count):
        await world.until_it_goes_on()
        await world.a_moment(0.1, 0.8)
        what, strike = ways[number % len(ways)]
        world.befalls(what)
        await strike()
    await world.until_it_goes_on()


async def restart_broker(world: World, count: int) -> None:
    """Stop the broker in order, or kill it, and start it."""
    await _again_and_again(
        world,
        count,
        [
            ("restart", lambda: asyncio.to_thread(world.broker.restart)),
            ("kill", lambda: asyncio.to_thread(_kill_and_start, world.broker, "SIGKILL")),
        ],
    )


async def kill_broker(world: World, count: int) -> None:
    """Kill the broker, and start it without what it had in memory."""
    await _again_and_again(
        world,
        count,
        [("kill", lambda: asyncio.to_thread(_kill_and_start, world.broker, "SIGKILL"))],
    )


async def flush_redis(world: World, count: int) -> None:
    """Delete all that Redis has; of a server that is not ours, all in the world's database."""

    async def flush() -> None:
        async with Redis.from_url(world.broker_url) as redis:
            await (redis.flushall() if world.broker.controllable else redis.flushdb())

    await _again_and_again(world, count, [("FLUSHALL", flush)])


async def cut_broker_off(world: World, count: int) -> None:
    """Have the broker refuse connections for a while, or never answer on those there are."""

    async def refuse() -> None:
        await world.gate.shut()
        await world.a_moment(1, 3)
        await world.gate.open()

    async def swallow() -> None:
        world.gate.hold()
        await world.a_moment(1, 3)
        world.gate.release()

    await _again_and_again(world, count, [("refused", refuse), ("swallowed", swallow)])


async def stop_postgres_at_once(world: World, count: int) -> None:
    """Immediate stop, or kill, and start: what was not committed is gone, what was is not."""
    server = world.postgres
    await _again_and_again(
        world,
        count,
        [
            ("immediate stop", lambda: asyncio.to_thread(_kill_and_start, server, "SIGQUIT")),
            ("kill", lambda: asyncio.to_thread(_kill_and_start, server, "SIGKILL")),
        ],
    )


async def cut_connections(world: World, count: int) -> None:
    """End every connection to the database, in a loop."""

    async def sweep() -> None:
        for _ in range(SWEEPS):
            await world.database.answer(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await world.a_moment(0, 0.3)

    await _again_and_again(world, count, [("pg_terminate_backend", sweep)])


def _kill_and_start(server: Server, signal: str) -> None:
    server.kill(signal)
    server.start()
