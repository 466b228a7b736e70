"""What befalls workers: `kill -9`, SIGSTOP past the lease, and tasks that are the end of them."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.chaos.app import MEGABYTE, devour, overdraw, spin, vanish
from tests.chaos.workers import Worker
from tests.chaos.world import World

LANES = 2
"""How many workers are frozen at a time."""

MOST_MEMORY = 500 * MEGABYTE
"""How much memory a worker may have before it is killed, as the kernel does."""

GLANCE = 0.02
"""How often the supervisor looks at the processes, in seconds."""

PROBE = 0.3
"""How often it asks the store who has fallen silent, in seconds."""


async def kill(world: World, count: int) -> None:
    """Kill a worker that is at work, at any moment; start another at once; and so on."""
    for _ in range(count):
        victim = world.chance.choice(world.workers)
        await world.until_begun(victim)
        await world.a_moment(0, 0.3)
        world.befalls("kill -9", victim)
        await world.replace(victim)


async def freeze(world: World, count: int) -> None:
    """Freeze workers until they are taken for lost, and a moment longer; then let them go on."""
    turns = iter(range(count))

    async def one_after_another(own: list[Worker]) -> None:
        for _ in turns:
            await _freeze(world, world.chance.choice(own))

    share = len(world.workers) // LANES
    lanes = [world.workers[n * share : (n + 1) * share] for n in range(LANES)]
    async with asyncio.TaskGroup() as group:
        for own in lanes:
            group.create_task(one_after_another(own))


async def _freeze(world: World, victim: Worker) -> None:
    await world.until_begun(victim)
    await world.a_moment(0, 0.3)
    world.befalls("SIGSTOP", victim)
    victim.send(signal.SIGSTOP)

    async def is_evicted() -> bool:
        return not await _registrations(world, victim, "live")

    async def is_back() -> bool:
        return await _registrations(world, victim, "live") == 1

    try:
        await world.until(f"{victim.name}, which is frozen, is taken for lost", is_evicted)
        await world.a_moment(0, 1)
    finally:
        victim.send(signal.SIGCONT)
    await world.until(f"{victim.name}, which goes on, has registered anew", is_back)


async def _registrations(world: World, worker: Worker, state: str) -> int:
    [[count]] = await world.database.answer(
        "SELECT count(*) FROM workers WHERE name = $1 AND state = $2", worker.name, state
    )
    return int(count)


# --- poison ---------------------------------------------------------------------------------------


async def poison(world: World, count: int) -> None:
    """Submit tasks that kill, and look after the workers until all of them have had their end."""
    kinds = [vanish, devour, overdraw, spin]
    names = [kinds[number % len(kinds)].name for number in range(count)]
    world.chance.shuffle(names)
    supervising = asyncio.create_task(_supervise(world))
    try:
        for name in names:
            await world.load.submit_poison(name)
        await world.until("every poisonous task has ended", lambda: _is_harmless(world, count))
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)


async def _is_harmless(world: World, count: int) -> bool:
    [[ended]] = await world.database.answer(
        "SELECT count(*) FROM tasks WHERE name = ANY($1) AND state = 'failed'",
        [kind.name for kind in (vanish, devour, overdraw, spin)],
    )
    return bool(ended == count)


async def _supervise(world: World) -> None:
    """What a supervisor does: start again what has ended, kill what eats too much or is stuck."""
    silent: set[str] = set()
    asked_at = 0.0
    while True:
        for worker in list(world.workers):
            if worker.is_gone:
                world.befalls("os._exit", worker)
            elif worker.memory > MOST_MEMORY:
                world.befalls("out of memory", worker)
            elif worker.name in silent:
                world.befalls("endless loop", worker)
            else:
                continue
            await world.replace(worker)
        if time.monotonic() - asked_at > PROBE:
            silent, asked_at = await world.silent_workers(), time.monotonic()
        await asyncio.sleep(GLANCE)
