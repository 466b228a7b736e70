"""The servers of the integration tests: their choice, and a place of its own for each test."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import aio_pika
import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeout

from tests.integration.servers import postgres, redis
from tests.integration.servers.absence import out_of_reach
from tests.integration.servers.choice import NoServer, choose
from tests.integration.servers.container import NoContainer
from tests.integration.servers.kind import Kind
from tests.integration.servers.leaks import connections, no_connection_left
from tests.integration.servers.postgres import POSTGRES
from tests.integration.servers.rabbitmq import RABBITMQ, Leavings
from tests.integration.servers.redis import REDIS
from tests.integration.servers.server import Server

# --- the choice -----------------------------------------------------------------------------------

THERE = replace(POSTGRES, answers=lambda _host, _port: True)
NOWHERE = replace(POSTGRES, answers=lambda _host, _port: False)


def in_a_container(kind: Kind, image: str) -> Server:
    return Server(kind, kind.url("127.0.0.1", 23456), f"a container of {image}")


def without_docker(kind: Kind, image: str) -> Server:
    raise NoContainer(f"no container of {image}")


def test_a_given_url_comes_before_everything_else() -> None:
    given = {"CUELINE_TEST_POSTGRES": "postgresql://me@db:5433", "CUELINE_TEST_REQUIRE": "docker"}
    server = choose(THERE, given, in_a_container)
    assert server.url == "postgresql://me@db:5433"
    assert server.port == 5433


def test_a_container_comes_before_a_server_at_the_usual_place() -> None:
    server = choose(THERE, {}, in_a_container)
    assert server.url == "postgresql://postgres@127.0.0.1:23456"


def test_the_image_is_a_setting() -> None:
    server = choose(THERE, {"CUELINE_TEST_POSTGRES_IMAGE": "postgres:14"}, in_a_container)
    assert server.where == "a container of postgres:14"
    assert choose(THERE, {}, in_a_container).where == "a container of postgres:16"


def test_without_docker_a_server_at_its_usual_place_is_taken_and_the_reason_kept() -> None:
    server = choose(THERE, {}, without_docker)
    assert server.url == "postgresql://postgres@127.0.0.1:5432"
    assert "no container of postgres:16" in server.where


def test_with_no_server_at_all_the_reason_tells_what_was_tried() -> None:
    with pytest.raises(NoServer) as none:
        choose(NOWHERE, {}, without_docker)
    for tried in ("CUELINE_TEST_POSTGRES", "no container of postgres:16", "127.0.0.1:5432"):
        assert tried in str(none.value)


def test_where_containers_were_promised_nothing_else_will_do() -> None:
    with pytest.raises(NoServer, match="has to run in a container"):
        choose(THERE, {"CUELINE_TEST_REQUIRE": "docker"}, without_docker)


def test_at_home_a_fault_on_a_server_that_is_not_ours_skips_the_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    server = Server(POSTGRES, POSTGRES.address, "somebody's")
    assert not server.controllable
    with pytest.raises(pytest.skip.Exception, match="somebody's"):
        server.restart()


def test_in_ci_a_fault_on_a_server_that_is_not_ours_fails_the_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="somebody's"):
        Server(POSTGRES, POSTGRES.address, "somebody's").restart()


@pytest.mark.parametrize("kind", [POSTGRES, REDIS, RABBITMQ], ids=lambda kind: kind.name)
def test_a_port_where_nobody_or_somebody_else_listens_is_no_server(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.close()
        assert not kind.is_ready("127.0.0.1", port)


# --- a place of one's own -------------------------------------------------------------------------


async def test_a_test_has_an_empty_database_of_its_own(postgres_url: str, namespace: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT current_database()") == f"cueline_{namespace}"
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
    finally:
        await connection.close()


async def test_a_postgres_database_goes_with_whoever_is_connected(postgres_server: Server) -> None:
    async with postgres.fresh_database(postgres_server, "cueline_test_of_servers") as url:
        connection = await asyncpg.connect(url)
    await connection.close()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


async def test_a_redis_database_is_empty_before_and_after(
    redis_server: Server, redis_number: int
) -> None:
    async with redis.fresh_database(redis_server, redis_number) as url, Redis.from_url(url) as one:
        assert await one.dbsize() == 0
        await one.set("left", "behind")
    async with Redis.from_url(url) as two:
        assert await two.dbsize() == 0


def test_two_sessions_on_one_redis_get_different_databases(redis_server: Server) -> None:
    with redis.reserved_number(redis_server) as one, redis.reserved_number(redis_server) as two:
        assert one != two
        assert {one, two} <= set(redis.NUMBERS)


async def test_queues_and_exchanges_of_tests_that_have_ended_are_deleted(
    rabbitmq_server: Server, rabbitmq_url: str, namespace: str
) -> None:
    if not rabbitmq_server.controllable and shutil.which("rabbitmqctl") is None:
        out_of_reach("nobody can tell the names of queues here")
    leavings = Leavings(rabbitmq_server)
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(f"{namespace}.old")
        await channel.declare_exchange(f"{namespace}.old.topic", "topic")
        await channel.declare_queue(f"now.{namespace}", exclusive=True)
        await leavings.add(namespace)
        await leavings.sweep()
        await channel.get_queue(f"now.{namespace}", ensure=True)
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.get_queue(f"{namespace}.old", ensure=True)
        channel = await connection.channel()  # that error has closed the first one
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.get_exchange(f"{namespace}.old.topic", ensure=True)


# --- leaks ----------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def as_server(listening: socket.socket) -> Server:
    return Server(REDIS, f"redis://127.0.0.1:{listening.getsockname()[1]}", "a socket")


async def test_a_connection_that_is_left_open_is_found(listening: socket.socket) -> None:
    server = as_server(listening)
    with ExitStack() as later, pytest.raises(AssertionError, match=r"1 connection.*to Redis open"):
        async with no_connection_left(server, closing=0):
            later.enter_context(socket.create_connection(listening.getsockname()))


async def test_a_connection_that_closes_a_moment_later_is_none(listening: socket.socket) -> None:
    async with no_connection_left(as_server(listening)):
        connection = socket.create_connection(listening.getsockname())
        asyncio.get_running_loop().call_later(0.05, connection.close)
    assert connection.fileno() == -1


async def test_a_connection_from_before_the_test_is_not_its_fault(
    listening: socket.socket,
) -> None:
    server = as_server(listening)
    with socket.create_connection(listening.getsockname()) as older:
        async with no_connection_left(server, closing=0):
            pass
        assert list(connections(server.port).values()) == [older.getsockname()[1]]


# --- faults ---------------------------------------------------------------------------------------


async def test_postgres_comes_back_at_the_same_place_with_its_data(
    postgres_server: Server, postgres_url: str
) -> None:
    await postgres_execute(postgres_url, "CREATE TABLE kept AS SELECT 7 AS number")
    await asyncio.to_thread(postgres_server.restart)
    assert await postgres_execute(postgres_url, "SELECT number FROM kept") == 7
    await asyncio.to_thread(postgres_server.kill)
    await asyncio.to_thread(postgres_server.start)
    assert await postgres_execute(postgres_url, "SELECT number FROM kept") == 7


async def test_redis_comes_back_at_the_same_place_with_its_data(
    redis_server: Server, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.set("kept", "7")
    await asyncio.to_thread(redis_server.restart)
    async with Redis.from_url(redis_url) as client:
        assert await client.get("kept") == b"7"


@pytest.mark.slow
async def test_rabbitmq_comes_back_at_the_same_place_with_its_data(
    rabbitmq_server: Server, rabbitmq_url: str, namespace: str
) -> None:
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection, connection.channel() as channel:
        queue = await channel.declare_queue(namespace, durable=True)
        kept = aio_pika.Message(b"7", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(kept, queue.name)
    await asyncio.to_thread(rabbitmq_server.restart)
    connection = await aio_pika.connect(rabbitmq_url)
    async with connection, connection.channel() as channel:
        queue = await channel.get_queue(namespace)
        message = await queue.get()
        assert message is not None
        assert message.body == b"7"
        await message.ack()


async def test_a_paused_server_does_not_answer_until_it_goes_on(
    redis_server: Server, redis_url: str
) -> None:
    async with Redis.from_url(redis_url, socket_timeout=0.2, retry=None) as client:
        await client.ping()
        redis_server.pause()
        with pytest.raises(RedisTimeout):
            await client.ping()
        redis_server.unpause()
        assert await client.ping()


async def test_faults_that_a_test_leaves_are_undone(redis_server: Server, redis_url: str) -> None:
    redis_server.kill()
    await redis_server.mend()
    redis_server.pause()
    await redis_server.mend()
    async with Redis.from_url(redis_url) as client:
        assert await client.ping()


def test_commands_run_inside_and_their_failures_are_told(redis_server: Server) -> None:
    assert redis_server.run("redis-cli", "ping") == "PONG\n"
    with pytest.raises(RuntimeError, match="nowhere"):
        redis_server.run("ls", "/nowhere")


async def postgres_execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
