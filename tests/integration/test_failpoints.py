"""SIGKILL before and after every commit, publish, receive and acknowledge: nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from multiprocessing.connection import Client
from pathlib import Path
from statistics import median
from typing import TypeAlias

import pytest

from cueline.loading import load_settings
from tests.integration.failpoints import archive
from tests.integration.failpoints.exploration import Worklist, explore, one_life
from tests.integration.failpoints.history import Verdict, judge
from tests.integration.failpoints.world import World, zygote
from tests.integration.pairs import PAIRS, Pair
from tests.integration.servers.postgres import fresh_database
from tests.integration.servers.server import Server
from tests.simulation.database import Isolation

WORLDS = 6
"""How many worlds are explored side by side."""

DURABLE = [parameter for parameter in PAIRS if "memory" not in str(parameter.id)]
"""The pairs that outlive a process: what is in memory dies with it."""

Databases: TypeAlias = Callable[[Path], AbstractAsyncContextManager[str]]

ISOLATION = {"sqlite": Isolation.ONE_WRITER, "postgres": Isolation.READ_COMMITTED}

AT_LEAST = {
    ("commit", "SubmitTasks.write"),
    ("commit", "StartRuns._start"),
    ("commit", "DispatchTasks._take > DueTasks.take"),
    ("commit", "ClaimTasks._commit"),
    ("commit", "SettleTasks._settle"),
    ("commit", "RecordLogs"),
    ("commit", "KeepWorkers.register"),
    ("commit", "KeepWorkers.heartbeat"),
    ("commit", "KeepWorkers.goodbye"),
    ("commit", "Maintain._evict"),
    ("commit", "Maintain._settle_all > SettleTasks._settle"),
    ("publish", "SubmitTasks.write"),
    ("publish", "StartRuns._start"),
    ("publish", "DispatchTasks"),
    ("publish", "SettleTasks._settle"),
    ("receive", "ClaimTasks.receive"),
    ("acknowledge", "ClaimTasks.acknowledge"),
}
"""Where processes have to be killed, whatever else is found: lest the finding find nothing."""

pytestmark = [pytest.mark.slow, pytest.mark.hunt, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def forking() -> Iterator[Path]:
    with zygote() as address:
        yield address


@pytest.fixture(params=DURABLE)
def pair(request: pytest.FixtureRequest) -> Pair:
    found: Pair = request.param
    return found


@pytest.fixture
def databases(pair: Pair, request: pytest.FixtureRequest, namespace: str) -> Databases:
    """Where each world gets a store of its own."""
    if pair.store == "sqlite":
        return sqlite_files
    server: Server = request.getfixturevalue("postgres_server")
    template: str = request.getfixturevalue("postgres_template")

    def databases(folder: Path) -> AbstractAsyncContextManager[str]:
        return fresh_database(server, f"cueline_{namespace}_{folder.name}", template)

    return databases


@asynccontextmanager
async def sqlite_files(folder: Path) -> AsyncIterator[str]:
    yield f"sqlite:///{folder / 'cueline.db'}"


@pytest.fixture
def selected(pair: Pair, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    return pair.settings(request, tmp_path)


@pytest.fixture
async def worlds(
    selected: dict[str, str], databases: Databases, forking: Path, tmp_path: Path
) -> AsyncIterator[list[World]]:
    """Worlds that share the servers and nothing else: each has its database and its namespace."""
    async with AsyncExitStack() as stack:
        found = []
        for name in (f"w{number}" for number in range(WORLDS)):
            folder = tmp_path / name
            folder.mkdir()
            store = await stack.enter_async_context(databases(folder))
            settings = {**selected, "store": store, "namespace": f"{selected['namespace']}.{name}"}
            await archive.prepare(load_settings(**settings))
            connection = stack.enter_context(Client(str(forking), "AF_UNIX"))
            found.append(World(name, folder, settings, connection))
        yield found


async def test_sigkill_at_any_failpoint_costs_nothing_but_time(
    pair: Pair, worlds: list[World]
) -> None:
    worklist = Worklist()
    await one_life(worlds[0], worklist, None)
    async with asyncio.TaskGroup() as exploring:
        for world in worlds:
            exploring.create_task(explore(world, worklist))
    verdicts = [await verdict_on(world, ISOLATION[pair.store]) for world in worlds]
    wrong = [
        f"{world.name}: {proof}"
        for world, verdict in zip(worlds, verdicts, strict=True)
        for proof in verdict.wrong
    ]
    assert not wrong, "\n".join([*wrong, *deaths(worlds)])
    assert not worklist.missed, "nobody was killed " + ", ".join(map(str, worklist.missed))
    assert {(point.operation, point.by) for point in worklist.hit} >= AT_LEAST
    print(figures(worklist, worlds, verdicts))  # noqa: T201  # to be read in the log of CI


async def verdict_on(world: World, isolation: Isolation) -> Verdict:
    noted, stored = await archive.read(load_settings(**world.settings))
    return judge(world, isolation, noted, stored)


def deaths(worlds: list[World]) -> Iterator[str]:
    """Which life died where: a label that is complained of begins with the name of its life."""
    for world in worlds:
        for life in world.lives:
            yield f"{life.name} {'ended' if life.exit_code == 0 else f'died {life.armed}'}"


def figures(worklist: Worklist, worlds: list[World], verdicts: list[Verdict]) -> str:
    kills = sum(life.was_killed_there for world in worlds for life in world.lives)
    kinds = Counter(point.operation for point in worklist.hit)
    waits = sorted(wait for verdict in verdicts for wait in verdict.recoveries)
    told = ", ".join(f"{operation} {count}" for operation, count in sorted(kinds.items()))
    return (
        f"{len(worklist.hit)} failpoints ({told}), {kills} kills, "
        f"{sum(len(world.wished) for world in worlds)} wishes: "
        f"lost {sum(verdict.lost for verdict in verdicts)}, "
        f"applied twice {sum(verdict.applied_twice for verdict in verdicts)}, "
        f"accepted from a stale owner {sum(verdict.from_stale_owners for verdict in verdicts)}; "
        f"executed again {sum(verdict.executed_again for verdict in verdicts)}; "
        f"{len(waits)} tasks taken back after {median(waits):.1f} s (p50), {waits[-1]:.1f} s (max)"
        f"{''.join(f'; met once only: {point}' for point in worklist.met_once)}"
    )
