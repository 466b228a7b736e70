"""The store is away, at the start or in the middle: everybody waits, says so, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from tests.integration.gate import Gate, by_way_of, gate_before
from tests.integration.processes import World, ended, stopped, submit, until, until_async

PASSWORD = "verysecret"
OUTAGE = 3.0
"""How long the store is away under load, in seconds."""

CLIENTS = 8
FEW_LINES = 30
"""How many warnings an outage of some seconds may be worth to one process with all roles."""


@dataclass
class Absence:
    """A store that is not there yet, and how it comes."""

    url: str
    end: Callable[[], Awaitable[object]]


NewAbsence: TypeAlias = Callable[[str, str], AsyncIterator[Absence]]


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def nobody_listens(url: str, _: str) -> AsyncIterator[Absence]:
    async with gate_before(url) as gate:
        await gate.shut()
        user = urlsplit(url).username or "postgres"
        yield Absence(by_way_of(url, gate.port, f"{user}:{PASSWORD}"), gate.open)


async def nobody_has_created_the_database(url: str, namespace: str) -> AsyncIterator[Absence]:
    name = f"late_{namespace}"
    try:
        yield Absence(
            urlsplit(url)._replace(path=f"/{name}").geturl(),
            lambda: execute(url, f"CREATE DATABASE {name}"),
        )
    finally:
        await execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def there_are_too_many_connections(url: str, namespace: str) -> AsyncIterator[Absence]:
    parts, role = urlsplit(url), f"role_{namespace}"
    await execute(
        url,
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0",
        f'ALTER DATABASE "{parts.path[1:]}" OWNER TO {role}',
    )
    try:
        yield Absence(
            parts._replace(netloc=f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl(),
            lambda: execute(url, f"ALTER ROLE {role} CONNECTION LIMIT -1"),
        )
    finally:
        await execute(url, f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP ROLE {role}")


def a_world(folder: Path, store: str, **more: str) -> World:
    return World(folder, settings={"CUELINE_STORE": store, **more})


async def waits(world: World) -> None:
    """Return once the service has said that it waits."""
    await until(lambda: "cannot open the store yet" in world.log())


# --- at the start ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "absent",
    [nobody_listens, nobody_has_created_the_database, there_are_too_many_connections],
    ids=lambda absent: absent.__name__,
)
async def test_a_service_waits_for_its_store_and_then_works(
    absent: NewAbsence, tmp_path: Path, postgres_url: str, namespace: str
) -> None:
    async with asynccontextmanager(absent)(postgres_url, namespace) as absence:
        world = a_world(tmp_path, absence.url)
        async with world.running() as (process, client):
            await waits(world)
            assert process.poll() is None
            await absence.end()
            await world.until_ready(process, client)
            await ended(client, await submit(client, "work", {"name": "first"}))
            assert await stopped(process) == 0
        assert PASSWORD not in world.log()


async def test_a_service_that_waits_for_its_store_ends_when_it_is_told_to(
    tmp_path: Path, postgres_url: str
) -> None:
    async with gate_before(postgres_url) as gate:
        await gate.shut()
        world = a_world(tmp_path, by_way_of(postgres_url, gate.port))
        async with world.running() as (process, _):
            await waits(world)
            assert await stopped(process) == 0
        assert "Traceback" not in world.log()


async def test_a_command_says_that_the_store_is_away(tmp_path: Path, postgres_url: str) -> None:
    async with gate_before(postgres_url) as gate:
        await gate.shut()
        world = a_world(tmp_path, by_way_of(postgres_url, gate.port, f"somebody:{PASSWORD}"))
        listed, checks = await asyncio.gather(
            world.cli("tasks", "list", code=6), world.cli("doctor", code=6)
        )
    assert listed["error"]["type"] == "unavailable", listed
    assert "store" in str(listed)
    assert str(gate.port) in str(checks), checks
    assert PASSWORD not in f"{listed}{checks}"


# --- in the middle --------------------------------------------------------------------------------


class Submitters:
    """Clients that submit one task after another, each until it is accepted."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._number = 0
        self.accepted: dict[int, str] = {}
        self.refused: list[httpx2.Response] = []

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Have them submit for as long as the context lasts."""
        stop = asyncio.Event()
        clients = [asyncio.create_task(self._submit_until(stop)) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*clients)

    async def _submit_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._number += 1
            await self._submit(self._number)

    async def _submit(self, number: int) -> None:
        task = {"name": "count", "input": {"number": number}, "key": f"n{number}"}
        while (answer := await self._client.post("/tasks", json=task)).status_code != 202:
            self.refused.append(answer)
            await asyncio.sleep(0.1)
        self.accepted[number] = answer.json()["id"]


async def test_what_was_accepted_is_done_although_the_store_was_lost_under_load(
    tmp_path: Path, postgres_url: str, redis_url: str, namespace: str
) -> None:
    async with gate_before(postgres_url) as gate:
        world = a_world(
            tmp_path,
            by_way_of(postgres_url, gate.port),
            CUELINE_BROKER=redis_url,
            CUELINE_NAMESPACE=namespace,
            CUELINE_LEASE="5s",
        )
        world.app = "tests.integration.app.bulk:app"
        async with world.serving() as (process, client):
            submitters = Submitters(client)
            async with submitters.busy():
                await until(lambda: len(submitters.accepted) >= 200)
                before = len(world.log().splitlines())
                await lose(gate)
                at_return = len(submitters.accepted)
                await until(lambda: len(submitters.accepted) >= at_return + 200)
            assert process.poll() is None
            await all_have_ended(postgres_url)
            lines = world.log().splitlines()[before:]

    states = await all_tasks(postgres_url)
    once = sum(attempt == 1 for _, _, attempt in states)
    print(  # noqa: T201  # figures to be read in the log of CI
        f"store away for {OUTAGE:g} s: {len(states)} accepted, {len(submitters.refused)} refusals, "
        f"{once} done in one attempt, {len(lines)} lines of log"
    )
    assert submitters.refused
    assert {answer.status_code for answer in submitters.refused} == {503}
    assert all("Retry-After" in answer.headers for answer in submitters.refused)
    assert len(states) == len(submitters.accepted) == len(set(submitters.accepted.values()))
    assert {state for state, _, _ in states} == {"succeeded"}
    # A task's version moves with each claim and with each outcome: so each claim had one outcome.
    assert all(version == 1 + 2 * attempt for _, version, attempt in states)
    assert len(lines) <= FEW_LINES, "\n".join(lines)


async def lose(gate: Gate) -> None:
    await gate.shut()
    await asyncio.sleep(OUTAGE)
    await gate.open()


async def all_have_ended(url: str) -> None:
    async def ended() -> bool:
        return all(state not in ("queued", "running") for state, _, _ in await all_tasks(url))

    await until_async(ended)


async def all_tasks(url: str) -> list[tuple[str, int, int]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT state, version, attempt FROM tasks")
    finally:
        await connection.close()
    return [(row["state"], row["version"], row["attempt"]) for row in rows]
