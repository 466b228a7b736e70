"""Events by way of PostgreSQL, and the connection that listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from cueline.domain.errors import Unavailable
from cueline.domain.events import Event, Subject
from cueline.infrastructure.sql.postgres.channel import PostgresChannel
from cueline.infrastructure.sql.postgres.listener import (
    LONGEST_PAYLOAD,
    PostgresListener,
    channel_name,
)
from tests.contracts.event_bus import (
    NewChannel,
    SharedBusContract,
    an_event,
    following,
    opened,
    until,
)
from tests.doubles import NOW
from tests.integration.gate import by_way_of, gate_before

NAME = "cueline-test-listener"


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Somebody else who is connected to the same database."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def listening(url: str, **times: float) -> AsyncIterator[PostgresListener]:
    listener = PostgresListener(f"{url}?application_name={NAME}&sslmode=disable", **times)
    await listener.open()
    try:
        yield listener
    finally:
        await listener.close()


@pytest.fixture
async def new_channel(postgres_url: str, namespace: str) -> AsyncIterator[NewChannel]:
    async with AsyncExitStack() as stack:

        async def new() -> PostgresChannel:
            listener = await stack.enter_async_context(listening(postgres_url))
            return PostgresChannel(listener, namespace)

        yield new


class TestPostgresEvents(SharedBusContract):
    """The contract is kept over LISTEN and NOTIFY."""

    adapter = PostgresChannel


async def listeners(admin: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many connections listen."""
    found = await admin.fetch("SELECT 1 FROM pg_stat_activity WHERE application_name = $1", NAME)
    return len(found)


async def cut(admin: asyncpg.Connection[asyncpg.Record]) -> None:
    """End every connection that listens, from the server's side."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1",
        NAME,
    )


# --- the bus --------------------------------------------------------------------------------------


async def test_many_large_events_are_split_and_come_in_order(new_channel: NewChannel) -> None:
    text = {"message": "naïve 日本 \0 🚀" * 20}
    published = [Event(Subject.TASK, "a", n, "log", NOW, text) for n in range(300)]
    async with (
        opened(await new_channel(), patience=60.0) as bus,
        opened(await new_channel()) as other,
        other.subscribe(["a"]) as events,
    ):
        await until(lambda: bus.is_watched)
        await bus.publish(published)
        assert [await following(events) for _ in published] == published


async def test_events_come_again_after_every_connection_was_cut(
    new_channel: NewChannel, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with (
        opened(await new_channel(), patience=60.0) as bus,
        opened(await new_channel()) as other,
        other.subscribe(["a"]) as events,
    ):
        await until(lambda: bus.is_watched)
        for times in range(3):
            await cut(admin)
            heard = asyncio.create_task(following(events))
            sequence = 0
            while not heard.done():  # what is sent before the new connection is lost
                sequence += 1
                await bus.publish([an_event("a", 1000 * times + sequence)])
                await asyncio.wait({heard}, timeout=0.02)
            assert (await heard).sequence > 1000 * times
            last = an_event("a", 1000 * times + 999)
            await bus.publish([last])
            while await following(events) != last:
                pass


async def test_what_others_notify_on_the_channel_is_ignored(
    new_channel: NewChannel,
    namespace: str,
    admin: asyncpg.Connection[asyncpg.Record],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        opened(await new_channel(), patience=60.0) as bus,
        opened(await new_channel()) as other,
        other.subscribe(["a"]) as events,
    ):
        await until(lambda: bus.is_watched)
        for rubbish in ("", "\x01\x7f", "日本", "1 " + "f" * 32 + " 0 " + "[" * 7000):
            await admin.execute(
                "SELECT pg_notify($1, $2)", channel_name(namespace, "events"), rubbish
            )
        await bus.publish([an_event("a", 1)])
        assert await following(events) == an_event("a", 1)
    assert "no events of ours" in caplog.text


async def test_namespaces_do_not_hear_one_another(postgres_url: str, namespace: str) -> None:
    async with listening(postgres_url) as listener:
        heard: list[str] = []
        for n, long in enumerate(("", "x" * 60, "y" * 60)):

            def receive(payload: bytes, n: int = n) -> None:
                heard.append(f"{n} {payload.decode()}")

            await PostgresChannel(listener, f"{namespace}{long}").open(receive)
        for long in ("y" * 60, "z", "x" * 60, ""):
            await PostgresChannel(listener, f"{namespace}{long}").send(long[:1].encode())
        await until(lambda: len(heard) == 3)
        assert heard == ["2 y", "1 x", "0 "]


async def test_the_largest_payload_is_carried(new_channel: NewChannel) -> None:
    heard: list[bytes] = []
    channel = await new_channel()
    await channel.open(heard.append)
    await channel.send("é".encode() * (LONGEST_PAYLOAD // 2) + b"x")
    await until(lambda: bool(heard))
    assert len(heard[0]) == LONGEST_PAYLOAD
    await channel.close()


# --- the listener ---------------------------------------------------------------------------------


async def test_nothing_is_lost_or_turned_round_while_connected(
    postgres_url: str, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    heard: list[str] = []
    async with listening(postgres_url) as listener:
        began = asyncio.Event()
        listener.listen("news", heard.append, on_reconnect=began.set)
        await began.wait()
        expected = [str(n) for n in range(2000)]
        await admin.executemany("SELECT pg_notify('news', $1)", [(each,) for each in expected])
        await until(lambda: len(heard) >= 2000)
    assert heard == expected


async def test_who_listens_is_told_to_look_after_each_connection(
    postgres_url: str, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    looks: list[str] = []
    heard: list[str] = []
    async with listening(postgres_url) as listener:
        listener.listen("one", heard.append, on_reconnect=lambda: looks.append("one"))
        listener.listen("two", heard.append, on_reconnect=lambda: looks.append("two"))
        await until(lambda: sorted(looks) == ["one", "two"])
        await cut(admin)
        await until(lambda: sorted(looks) == ["one", "one", "two", "two"])
        await admin.execute("NOTIFY two, 'news'")
        await until(lambda: heard == ["news"])


async def test_a_channel_that_is_ignored_brings_nothing_more(
    postgres_url: str, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    heard: list[str] = []
    async with listening(postgres_url) as listener:
        began = asyncio.Event()
        listener.listen("one", heard.append)
        listener.listen("two", heard.append, on_reconnect=began.set)
        await began.wait()
        listener.ignore("one")
        await admin.execute("NOTIFY one, 'lost'")
        await admin.execute("NOTIFY two, 'heard'")
        await until(lambda: bool(heard))
    assert heard == ["heard"]


async def test_many_may_notify_at_once_on_the_one_connection(postgres_url: str) -> None:
    heard: list[str] = []
    async with listening(postgres_url) as listener:
        listener.listen("news", heard.append)
        await asyncio.gather(*(listener.notify("news", str(n)) for n in range(100)))
        await until(lambda: len(heard) == 100)


async def test_it_understands_the_url_of_a_store(postgres_url: str) -> None:
    heard: list[str] = []
    listener = PostgresListener(f"{postgres_url}?prepared_statement_cache_size=0")
    await listener.open()
    listener.listen("news", heard.append)
    await listener.notify("news", "heard")
    await until(lambda: heard == ["heard"])
    await listener.close()


async def test_closing_leaves_no_connection_and_no_task(
    postgres_url: str, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    before = asyncio.all_tasks()
    listener = PostgresListener(f"{postgres_url}?application_name={NAME}")
    await listener.open()
    assert await listeners(admin) == 1
    await listener.close()
    await listener.close()
    assert asyncio.all_tasks() == before
    async with asyncio.timeout(5):
        while await listeners(admin):
            pass
    with pytest.raises(Unavailable):
        await listener.notify("news", "")


# --- a server that is away ------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_it_opens_and_closes_although_there_is_no_server(closed_port: int) -> None:
    async with listening(f"postgresql://u:secret@127.0.0.1:{closed_port}/d") as listener:
        with pytest.raises(Unavailable) as raised:
            await listener.notify("news", "")
    assert "secret" not in str(raised.value)


async def test_a_connection_that_has_gone_silent_is_made_again(
    postgres_url: str, admin: asyncpg.Connection[asyncpg.Record]
) -> None:
    heard: list[str] = []
    looks: list[None] = []
    async with (
        gate_before(postgres_url) as gate,
        listening(by_way_of(postgres_url, gate.port), checking=0.1, patience=1.0) as listener,
    ):
        listener.listen("news", heard.append, on_reconnect=lambda: looks.append(None))
        await until(lambda: len(looks) == 1)
        gate.freeze()
        await until(lambda: len(looks) == 2)
        await admin.execute("NOTIFY news, 'again'")
        await until(lambda: heard == ["again"])


async def test_notifying_on_a_silent_connection_fails_soon_and_mends_it(postgres_url: str) -> None:
    looks: list[None] = []
    async with (
        gate_before(postgres_url) as gate,
        listening(by_way_of(postgres_url, gate.port), checking=60.0, patience=0.5) as listener,
    ):
        listener.listen("news", lambda _: None, on_reconnect=lambda: looks.append(None))
        await until(lambda: len(looks) == 1)
        gate.freeze()
        with pytest.raises(Unavailable):
            await listener.notify("news", "")
        await until(lambda: len(looks) == 2)
        await listener.notify("news", "")


def without_notifications() -> Callable[[bytes], bytes]:
    """What a pooler of transactions does: LISTEN succeeds, and nothing ever comes."""
    unread = bytearray()

    def see(data: bytes) -> bytes:
        unread.extend(data)
        seen = bytearray()
        # A message is its type, and its length without the type.
        while len(unread) > 4 and len(unread) > (length := int.from_bytes(unread[1:5], "big")):
            if unread[0:1] != b"A":
                seen += unread[: length + 1]
            del unread[: length + 1]
        return bytes(seen)

    return see


async def test_behind_a_pooler_that_cannot_listen_nothing_breaks_and_the_log_says_so(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[None] = []
    async with (
        gate_before(postgres_url, without_notifications) as gate,
        listening(by_way_of(postgres_url, gate.port), patience=0.2) as listener,
    ):
        listener.listen("news", lambda _: None, on_reconnect=lambda: looks.append(None))
        await until(lambda: caplog.text.count("pooler of transactions") > 1)
        with pytest.raises(Unavailable):
            await listener.notify("news", "")
    assert looks == []
