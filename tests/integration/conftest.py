"""The servers of the integration tests: chosen once, and a clean place on them for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import pytest_asyncio

from cueline.infrastructure.sql.postgres.store import PostgresStore
from tests.integration.servers import postgres, redis
from tests.integration.servers.absence import out_of_reach
from tests.integration.servers.choice import NoServer, choose
from tests.integration.servers.kind import Kind
from tests.integration.servers.leaks import no_connection_left
from tests.integration.servers.postgres import POSTGRES
from tests.integration.servers.rabbitmq import RABBITMQ, Leavings
from tests.integration.servers.redis import REDIS
from tests.integration.servers.server import Server

SERVERS = {"postgres_server", "redis_server", "rabbitmq_server"}
FETCHING = 600
"""How long a test may take that fetches images and starts servers, in seconds."""
CHOSEN = pytest.StashKey[list[str]]()
"""What was used, to be told in the end."""


# --- what pytest is told --------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a server, so that `-m "not server"` leaves it out."""
    for item in items:
        if isinstance(item, pytest.Function) and SERVERS.intersection(item.fixturenames):
            item.add_marker("server")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Give the first test of each server the time to fetch its image."""
    missing = set(SERVERS)
    for item in session.items:
        if isinstance(item, pytest.Function) and missing.intersection(item.fixturenames):
            item.add_marker(pytest.mark.timeout(FETCHING))
            missing.difference_update(item.fixturenames)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tell the figures that tests have printed, and which servers were used."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and "server" in report.keywords and report.capstdout:
            terminalreporter.write_line(f"{report.head_line}: {report.capstdout.strip()}")
    for line in config.stash.get(CHOSEN, []):
        terminalreporter.write_line(line)


# --- the servers, for the whole session -----------------------------------------------------------


@contextmanager
def _chosen(kind: Kind, config: pytest.Config) -> Iterator[Server]:
    try:
        server = choose(kind, os.environ)
    except NoServer as error:
        out_of_reach(str(error))
    config.stash.setdefault(CHOSEN, []).append(f"{kind.name} was {server.where}")
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    with _chosen(POSTGRES, pytestconfig) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    with _chosen(REDIS, pytestconfig) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    with _chosen(RABBITMQ, pytestconfig) as server:
        yield server


@pytest.fixture(scope="session")
def redis_number(redis_server: Server) -> Iterator[int]:
    """The number of the Redis database that is this session's."""
    with redis.reserved_number(redis_server) as number:
        yield number


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rabbitmq_leavings(rabbitmq_server: Server) -> AsyncIterator[Leavings]:
    """What the tests of this session leave on RabbitMQ."""
    leavings = Leavings(rabbitmq_server)
    yield leavings
    await leavings.sweep()


# --- a clean place, for each test -----------------------------------------------------------------


@pytest.fixture
def namespace() -> str:
    """A short name that no other test has: what queues, exchanges and channels begin with."""
    return f"t{uuid4().hex[:10]}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_template(postgres_server: Server) -> AsyncIterator[str]:
    """The name of a database with the tables of a store, to be copied: they take long to make."""
    name = f"cueline_template_{uuid4().hex[:10]}"
    async with postgres.fresh_database(postgres_server, name) as url:
        store = PostgresStore(url)
        await store.open()
        await store.close()
        yield name


@pytest.fixture
async def postgres_url(postgres_server: Server, namespace: str) -> AsyncIterator[str]:
    """The URL of an empty database. The test has to close all its connections to it."""
    async with (
        postgres.fresh_database(postgres_server, f"cueline_{namespace}") as url,
        no_connection_left(postgres_server),
    ):
        yield url


@pytest.fixture
async def postgres_store_url(
    postgres_server: Server, postgres_template: str, namespace: str
) -> AsyncIterator[str]:
    """`postgres_url`, with the tables of a store in it already."""
    name = f"cueline_{namespace}"
    async with (
        postgres.fresh_database(postgres_server, name, postgres_template) as url,
        no_connection_left(postgres_server),
    ):
        yield url


@pytest.fixture
async def redis_url(redis_server: Server, redis_number: int) -> AsyncIterator[str]:
    """The URL of an empty database. The test has to close all its connections to it."""
    async with (
        redis.fresh_database(redis_server, redis_number) as url,
        no_connection_left(redis_server),
    ):
        yield url


@pytest.fixture
async def rabbitmq_url(
    rabbitmq_server: Server, rabbitmq_leavings: Leavings, namespace: str
) -> AsyncIterator[str]:
    """The URL of a virtual host. What the test declares there has to begin with `namespace`.

    The test has to close all its connections to it.
    """
    try:
        async with no_connection_left(rabbitmq_server):
            yield rabbitmq_server.url
    finally:
        await rabbitmq_server.mend()
        await rabbitmq_leavings.add(namespace)
