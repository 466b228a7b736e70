"""A world: a store, a broker, workers, and a load, on which strikes are made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

from cueline.loading import load_settings
from cueline.runtime import open_application
from tests.chaos.app import app
from tests.chaos.database import AWAY, SOON, Database
from tests.chaos.load import Load
from tests.chaos.moves import OPEN, RECENT_END, WAITING
from tests.chaos.places import Places
from tests.chaos.recovery import Fault
from tests.chaos.workers import Nursery, Worker
from tests.integration.gate import Gate, by_way_of, gate_before
from tests.integration.servers.server import Server

WORKERS = 4
SETTINGS = {"LEASE": "1s", "CONCURRENCY": "10", "GRACE": "5s"}
SILENT = 1.0
"""For how long after its lease a worker is waited for that may be stuck, in seconds."""

PATIENCE = 60.0
"""How long anything may take when nothing breaks any more, in seconds."""


class Stuck(Exception):
    """Something that should have come about has not."""


@dataclass
class World:
    """What a strike can lay hands on. It notes each fault in `faults`."""

    folder: Path
    database: Database
    environment: dict[str, str]
    nursery: Nursery
    load: Load
    chance: Random
    postgres: Server
    broker: Server
    gate: Gate
    broker_url: str
    workers: list[Worker] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    started: int = 0

    def befalls(self, what: str, worker: Worker | None = None) -> None:
        """Note a fault that happens now: to a worker, or to a server and so to all."""
        self.faults.append(Fault(what, worker.name if worker is not None else ""))

    # --- workers ----------------------------------------------------------------------------------

    def start(self) -> Worker:
        """Start another worker."""
        self.started += 1
        worker = self.nursery.start(f"w{self.started}", self.environment, self.folder)
        self.workers.append(worker)
        return worker

    async def replace(self, worker: Worker) -> None:
        """Kill a worker, dead or alive, and start another at once."""
        self.workers.remove(worker)
        await worker.kill()
        self.start()

    async def end_all(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            await worker.kill()
        self.workers.clear()

    async def silent_workers(self) -> set[str]:
        """The names of workers whose lease lapsed some time ago, and who have not come back."""
        rows = await self.database.answer(
            "SELECT name FROM workers GROUP BY name HAVING max(lease_until) < $1",
            int((time.time() - SILENT) * 1_000_000),
        )
        return {row[0] for row in rows}

    # --- waiting ----------------------------------------------------------------------------------

    async def a_moment(self, shortest: float, longest: float) -> None:
        """Let some time pass that nobody can foresee."""
        await asyncio.sleep(self.chance.uniform(shortest, longest))

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so; raises Stuck if it never is."""
        deadline = time.monotonic() + PATIENCE
        while not await condition():
            if time.monotonic() > deadline:
                waiting = [row[0] for row in await self.database.answer(WAITING)]
                raise Stuck("\n    ".join([f"not after {PATIENCE:g} s: {what}", *waiting]))
            await asyncio.sleep(SOON)

    async def until_begun(self, worker: Worker) -> None:
        """Wait until a worker has begun a task."""

        async def has_begun() -> bool:
            return worker.has_begun or worker.is_gone

        await self.until(f"{worker.name} begins a task", has_begun)

    async def until_it_goes_on(self) -> None:
        """Wait until a task has ended that had not when it was called."""
        since = time.time()

        async def has_ended() -> bool:
            try:
                [[latest]] = await self.database.ask(RECENT_END)
            except AWAY:
                return False
            return latest is not None and latest > since

        await self.until("tasks end again", has_ended)

    async def until_all_ended(self) -> None:
        """Wait until no task is open."""

        async def none_is_open() -> bool:
            [[present]] = await self.database.answer(OPEN)
            return bool(present == 0)

        await self.until("every task has ended", none_is_open)


@asynccontextmanager
async def a_world(
    places: Places, nursery: Nursery, broker: str, folder: Path, chance: Random
) -> AsyncIterator[World]:
    """A world with a broker on which workers are at work already; they end with it."""
    namespace = f"c{uuid4().hex[:10]}"
    async with (
        places.database(namespace) as store_url,
        places.broker(broker, namespace) as broker_url,
        gate_before(broker_url) as gate,
    ):
        selected = {
            "store": store_url,
            "broker": broker_url if broker_url == "store" else by_way_of(broker_url, gate.port),
            "namespace": namespace,
        }
        environment = {f"CUELINE_{name.upper()}": value for name, value in selected.items()}
        environment |= {f"CUELINE_{name}": value for name, value in SETTINGS.items()}
        database = Database(store_url)
        patience = timedelta(seconds=PATIENCE)
        opening = open_application(load_settings(**selected), app, patience=patience)
        async with opening as application:
            world = World(
                folder=folder,
                database=database,
                environment=environment,
                nursery=nursery,
                load=Load(application, database, chance),
                chance=chance,
                postgres=await places.server("postgres"),
                broker=await places.server(broker),
                gate=gate,
                broker_url=broker_url,
            )
            for _ in range(WORKERS):
                world.start()
            try:
                yield world
            finally:
                await world.end_all()
