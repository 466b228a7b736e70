"""What befalls the world."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from cueline.application.ports.broker import Message
from cueline.domain.errors import Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority
from tests.simulation.handlers import QUEUES
from tests.simulation.kinds import Args, Sketch, happening
from tests.simulation.processes import Ambush, Line
from tests.simulation.world import World

EVERYWHERE = "everywhere"

EVERYONE = "everyone"
"""Stands for all that has not ended."""

CALLS = (
    *("begin", "commit", "committed", "commit", "committed"),
    *("tasks.add_many", "tasks.add_claimed", "tasks.save_many"),
    *("tasks.claim_many", "tasks.claim_due"),
    *("runs.lock_many", "runs.save_many", "workers.save"),
    *("publish", "published", "receive", "received", "acknowledge", "acknowledged"),
)
"""At which calls a process is struck; the past tense is the answer's way back."""


def _draw_host_and_time(sketch: Sketch) -> tuple[float, Args]:
    seconds = round(sketch.random.choice((1.0, 5.0, 25.0)) * sketch.random.uniform(0.2, 1.5), 2)
    return sketch.moment(), {"host": sketch.host(), "seconds": seconds}


def _draw_place_and_time(sketch: Sketch) -> tuple[float, Args]:
    moment, args = _draw_host_and_time(sketch)
    if sketch.random.random() < 0.4:
        args["host"] = EVERYWHERE
    return moment, args


def _draw_rarely(sketch: Sketch) -> tuple[float, Args] | None:
    return (sketch.moment(), {}) if sketch.random.random() < 0.15 else None


def _draw_ambush(sketch: Sketch) -> tuple[float, Args]:
    moment, args = _draw_host_and_time(sketch)
    nth = sketch.random.choice((1, 1, 2, sketch.random.randint(3, 12)))
    return moment, {**args, "call": sketch.random.choice(CALLS), "nth": nth}


def _draw_jump(sketch: Sketch) -> tuple[float, Args] | None:
    if not sketch.clocks_jump:
        return None
    seconds = round(sketch.random.choice((2, 20, 90)) * sketch.random.uniform(-1, 1), 2)
    return sketch.moment(), {"host": sketch.host(), "seconds": seconds}


def _draw_forgery(sketch: Sketch) -> tuple[float, Args]:
    label = sketch.random.choice(["nobody", EVERYONE, EVERYONE, *sketch.tasks])
    queue = sketch.random.choice((*QUEUES, *QUEUES, "elsewhere"))
    return sketch.moment(), {"label": label, "queue": queue}


@happening(most=3, draw=_draw_host_and_time)
async def kill(world: World, host: str, seconds: float) -> None:
    """A process is killed; after a while another is started in its place."""
    world.count("process killed")
    await world.kill(host)
    await world.sleep(seconds)
    await world.restart(host)


@happening(most=2, draw=_draw_ambush)
async def kill_at(world: World, host: str, call: str, nth: int, seconds: float) -> None:
    """A process is killed at a certain call: as it sets out, or as the answer comes back."""
    struck = asyncio.Event()

    def strike() -> None:
        world.count(f"process killed at {call}")
        world.strike(host)
        struck.set()

    world.processes[host].ambushes.append(Ambush(call, nth, strike))
    await struck.wait()
    await world.kill(host)
    await world.sleep(seconds)
    await world.restart(host)


@happening(most=1, draw=_draw_ambush)
async def freeze_at(world: World, host: str, call: str, nth: int, seconds: float) -> None:
    """A process stands still at a certain call, past its lease perhaps, and then goes on."""
    process, struck = world.processes[host], asyncio.Event()

    def strike() -> None:
        world.count(f"process frozen at {call}")
        process.freeze()
        struck.set()

    process.ambushes.append(Ambush(call, nth, strike))
    await struck.wait()
    await world.sleep(seconds)
    process.thaw()


@happening(most=1, draw=_draw_host_and_time)
async def stop(world: World, host: str, seconds: float) -> None:
    """A process is stopped in order, as in a deployment."""
    world.count("process stopped")
    world.processes[host].stop()
    await world.sleep(seconds)
    await world.restart(host)


@happening(most=2, draw=_draw_host_and_time)
async def freeze(world: World, host: str, seconds: float) -> None:
    """A process stands still, past its lease perhaps, and then goes on."""
    world.count("process frozen")
    process = world.processes[host]
    if process.has_ended:
        return
    process.freeze()
    await world.sleep(seconds)
    process.thaw()


@happening(most=2, draw=lambda sketch: (sketch.moment(), {}))
async def wipe_broker(world: World) -> None:
    """The broker loses everything."""
    world.count("broker wiped")
    await world.broker.wipe()


@happening(most=1, draw=_draw_place_and_time)
async def cut_broker(world: World, host: str, seconds: float) -> None:
    """The broker cannot be reached for a while."""
    world.count("broker cut off")
    lines = [world.processes[name].to_broker for name in _places(world, host)]
    for line in lines:
        line.is_cut = True
    await world.sleep(seconds)
    for line in lines:
        line.is_cut = world.broker_is_lost


@happening(most=1, draw=_draw_rarely)
async def lose_broker(world: World) -> None:
    """The broker goes away for good: the store must do for all that is still to be done."""
    world.count("broker lost")
    world.broker_is_lost = True
    for process in world.processes.values():
        process.to_broker.is_cut = True


@happening(most=1, draw=_draw_place_and_time)
async def cut_store(world: World, host: str, seconds: float) -> None:
    """The store cannot be reached for a while; what was under way there is undone."""
    world.count("store cut off")
    processes = [world.processes[name] for name in _places(world, host)]
    for process in processes:
        process.to_store.is_cut = True
        process.store.cut()
    await world.sleep(seconds)
    for process in processes:
        process.to_store.is_cut = False


@happening(most=1, draw=_draw_place_and_time)
async def silence_broker(world: World, host: str, seconds: float) -> None:
    """The broker takes every call and answers none for a while."""
    world.count("broker silent")
    lines = [world.processes[name].to_broker for name in _places(world, host)]
    await _silence(world, lines, seconds)


@happening(most=1, draw=_draw_place_and_time)
async def silence_store(world: World, host: str, seconds: float) -> None:
    """The store takes every call and answers none for a while; it gives up on who went silent."""
    world.count("store silent")
    processes = [world.processes[name] for name in _places(world, host)]
    for process in processes:
        process.server_gives_up()
    await _silence(world, [process.to_store for process in processes], seconds)


async def _silence(world: World, lines: Sequence[Line], seconds: float) -> None:
    for line in lines:
        line.is_silent = True
    await world.sleep(seconds)
    for line in lines:
        line.is_silent = False


def _places(world: World, host: str) -> list[str]:
    return list(world.processes) if host == EVERYWHERE else [host]


@happening(most=2, draw=_draw_jump)
async def jump_clock(world: World, host: str, seconds: float) -> None:
    """A host's clock is set wrong, ahead or back."""
    world.count("clock jumped")
    world.clocks[host].error = timedelta(seconds=seconds)
    world.database.clock_error = max(world.database.clock_error, abs(timedelta(seconds=seconds)))


@happening(most=4, draw=_draw_forgery)
async def forge_message(world: World, label: str, queue: str) -> None:
    """Somebody puts messages into the broker that nobody has reason to send."""
    world.count("message forged")
    ids = [world.ledger.tasks.get(label, TaskId(f"{label} does not exist"))]
    if label == EVERYONE:
        ids = [TaskId(id) for id in world.open]
    try:
        await world.broker.publish([Message(id, queue, Priority.CRITICAL) for id in ids])
    except Unavailable:
        return
