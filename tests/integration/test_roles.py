"""Many processes of every role on one database, and none that must live."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.integration.processes import World, free_port, stopped, until_async

COUNT = 2000
BATCH = 50
OF_EACH_ROLE = 2
AGAIN = 0.02
"""Which share of the tasks may be dispatched more than once, though nothing was lost."""


@dataclass
class Fleet:
    """Processes of every role on one store and broker."""

    folder: Path
    settings: dict[str, str]
    processes: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def world(self, role: str, number: int) -> World:
        """The place of one process; the traces of all handlers are beside one another."""
        folder = self.folder / f"{role}{number}"
        folder.mkdir()
        traces = str(self.folder / "effects.txt")
        settings = {**self.settings, "CUELINE_ROLES": role, "EFFECTS": traces}
        return World(folder, free_port(), "tests.integration.app.bulk:app", settings)

    async def start(self, stack: AsyncExitStack) -> None:
        """Start them all, and wait for the APIs."""
        worlds = {
            role: [self.world(role, number) for number in range(OF_EACH_ROLE)]
            for role in ("api", "worker", "dispatcher")
        }
        for role, places in worlds.items():
            self.processes[role] = [place.start("serve") for place in places]
            for process in self.processes[role]:
                stack.push_async_callback(stopped, process, signal.SIGKILL)
        for place, process in zip(worlds["api"], self.processes["api"], strict=True):
            client = httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{place.port}/api/v1", timeout=30
            )
            self.clients.append(await stack.enter_async_context(client))
            await place.until_ready(process, client)

    async def submit(self, numbers: range) -> None:
        """Submit tasks over all APIs in turn; over another if one is dead. A key makes it once."""
        turns = cycle(self.clients)
        for first in range(numbers.start, numbers.stop, BATCH):
            batch = [a_task(number) for number in range(first, first + BATCH)]
            while not await _accepted(next(turns), batch):
                pass

    @property
    def handled(self) -> Counter[int]:
        """How often the handler ran for each number."""
        traces = self.folder.glob("effects.txt.*")
        return Counter(int(line) for trace in traces for line in trace.read_text().splitlines())

    async def query(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.settings["CUELINE_STORE"])
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    async def succeeded(self) -> int:
        [row] = await self.query("SELECT count(*) FROM tasks WHERE state = 'succeeded'")
        return int(row[0])

    async def all_have_succeeded(self, count: int) -> None:
        async def all_of_them() -> bool:
            return await self.succeeded() == count

        await until_async(all_of_them)


def a_task(number: int) -> dict[str, Any]:
    """Every tenth is delayed, and all priorities occur."""
    priority = ("low", "normal", "high", "critical")[number % 4]
    delay = {"delay": "300ms"} if number % 10 == 0 else {}
    key = f"n{number}"
    return {"name": "count", "input": {"number": number}, "priority": priority, "key": key, **delay}


async def _accepted(client: httpx2.AsyncClient, batch: list[dict[str, Any]]) -> bool:
    try:
        answer = await client.post("/tasks/batch", json=batch)
    except httpx2.TransportError:
        return False
    assert answer.status_code == 202, answer.text
    return True


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.server),
        pytest.param("redis", marks=pytest.mark.server),
    ]
)
def settings(request: pytest.FixtureRequest, postgres_url: str, namespace: str) -> dict[str, str]:
    on_store = request.param == "postgres"
    return {
        "CUELINE_STORE": postgres_url,
        "CUELINE_BROKER": "store" if on_store else str(request.getfixturevalue("redis_url")),
        "CUELINE_NAMESPACE": namespace,
        "CUELINE_LEASE": "2s",
    }


@pytest.fixture
async def fleet(tmp_path: Path, settings: dict[str, str]) -> AsyncIterator[Fleet]:
    fleet = Fleet(tmp_path, settings)
    async with AsyncExitStack() as stack:
        await fleet.start(stack)
        yield fleet


async def test_every_task_is_dispatched_and_done_once_and_none_needs_one_certain_process(
    fleet: Fleet,
) -> None:
    await watch_dispatches(fleet)
    await fleet.submit(range(COUNT))
    await fleet.all_have_succeeded(COUNT)
    often = Counter(dict(await dispatches(fleet)))
    handled = fleet.handled
    print(f"dispatched so often: {sorted(often.items())}")  # noqa: T201
    assert handled.keys() == set(range(COUNT))
    assert handled.total() == COUNT
    assert sum(count for times, count in often.items() if times > 1) < AGAIN * COUNT

    submitting = asyncio.create_task(fleet.submit(range(COUNT, 2 * COUNT)))
    await until_async(lambda: is_under_way(fleet))
    for processes in fleet.processes.values():
        await stopped(processes[0], signal.SIGKILL)
    assert await fleet.succeeded() < 2 * COUNT, "it was too late: the test shows nothing"
    await submitting
    await fleet.all_have_succeeded(2 * COUNT)
    handled = fleet.handled
    [wrong] = await fleet.query("SELECT count(*) FROM tasks WHERE version <> 1 + 2 * attempt")
    print(f"one of each role killed: {handled.total() - 2 * COUNT} executed again")  # noqa: T201
    assert handled.keys() == set(range(2 * COUNT))
    assert wrong[0] == 0


async def is_under_way(fleet: Fleet) -> bool:
    return await fleet.succeeded() >= COUNT + COUNT // 4


async def watch_dispatches(fleet: Fleet) -> None:
    """Have the database keep how often each task was dispatched: a claim forgets it."""
    for statement in (
        "CREATE TABLE dispatched (id text PRIMARY KEY, times int NOT NULL)",
        """CREATE FUNCTION keep_dispatches() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN
               INSERT INTO dispatched VALUES (NEW.id, NEW.dispatches)
               ON CONFLICT (id) DO UPDATE SET times = greatest(dispatched.times, NEW.dispatches);
               RETURN NULL;
           END $$""",
        """CREATE TRIGGER keep AFTER INSERT OR UPDATE OF dispatches ON tasks
           FOR EACH ROW WHEN (NEW.dispatches > 0) EXECUTE FUNCTION keep_dispatches()""",
    ):
        await fleet.query(statement)


async def dispatches(fleet: Fleet) -> Iterator[tuple[int, int]]:
    """How many tasks were dispatched how often."""
    rows = await fleet.query("SELECT times, count(*) FROM dispatched GROUP BY times")
    return ((row[0], row[1]) for row in rows)


# --- roles that cannot be played ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "broker", "role", "complaint"),
    [
        ("memory://", "store", "api", "nobody would be dispatcher and worker"),
        ("sqlite:///{}/cueline.db", "memory://", "api", "broker"),
        ("sqlite:///{}/cueline.db", "memory://", "worker", "broker"),
    ],
)
async def test_a_process_that_cannot_play_its_role_stops_at_once_and_says_why(
    tmp_path: Path, store: str, broker: str, role: str, complaint: str
) -> None:
    settings = {"STORE": store.format(tmp_path), "BROKER": broker, "ROLES": role}
    world = World(tmp_path, settings={f"CUELINE_{name}": value for name, value in settings.items()})
    process = world.start("serve")
    assert await asyncio.to_thread(process.wait, 30) == 4
    assert complaint in world.log()
    assert "Traceback" not in world.log()
