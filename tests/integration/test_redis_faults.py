"""The Redis adapters when something goes wrong, and what is theirs alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.metrics import Exposition, Metrics
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.redis.broker import RedisBroker
from cueline.infrastructure.redis.channel import RedisChannel
from cueline.infrastructure.redis.keys import Keys
from cueline.infrastructure.redis.lines import MOST_IDLE
from cueline.infrastructure.redis.listener import Listener
from cueline.infrastructure.redis.server import Server
from tests.contracts.broker import LONG, a_message, soon, tasks, waiting
from tests.doubles import FakeClock
from tests.integration.gate import Gate, by_way_of, gate_before

REDELIVERY = 30.0

Counting = Callable[[], Awaitable[int]]


class NotingMetrics(Metrics):
    """Remembers what it was told of the broker."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self.malformed = 0

    def broker_answers(self, answers: bool) -> None:
        self.answers.append(answers)

    def hints_refused(self, reason: str, count: int = 1) -> None:
        assert reason == "malformed"
        self.malformed += count

    def taken_from_store(self, count: int) -> None:
        raise NotImplementedError

    def expose(self) -> Exposition:
        raise NotImplementedError


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> NotingMetrics:
    return NotingMetrics()


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
async def admin(redis_url: str) -> AsyncIterator[Redis]:
    """Somebody else who is connected to the same database."""
    async with Redis.from_url(redis_url) as admin:
        yield admin


@pytest.fixture
async def gate(redis_url: str) -> AsyncIterator[Gate]:
    """A gate before the server."""
    async with gate_before(redis_url) as gate:
        yield gate


@pytest.fixture
def gated_url(redis_url: str, gate: Gate) -> str:
    """The same database, through the gate."""
    return by_way_of(redis_url, gate.port)


@pytest.fixture
def blocked(admin: Redis, namespace: str) -> Counting:
    """Counts the receivers of ours that wait at the server."""

    async def count() -> int:
        clients = await admin.client_list()
        return sum(each["name"] == namespace and "b" in each["flags"] for each in clients)

    return count


NewBroker = Callable[..., Awaitable[RedisBroker]]


@pytest.fixture
async def new_broker(
    redis_url: str, namespace: str, clock: FakeClock, metrics: NotingMetrics
) -> AsyncIterator[NewBroker]:
    """Opens brokers on one namespace, each as another process would have it."""
    brokers: list[RedisBroker] = []

    async def new(url: str = redis_url) -> RedisBroker:
        brokers.append(RedisBroker(url, namespace, clock, metrics))
        await brokers[-1].open()
        return brokers[-1]

    yield new
    for broker in brokers:
        await broker.close()


@pytest.fixture
async def broker(new_broker: NewBroker) -> RedisBroker:
    return await new_broker()


@pytest.fixture
async def other(new_broker: NewBroker) -> RedisBroker:
    return await new_broker()


# --- what is Redis's alone ------------------------------------------------------------------------


async def test_a_hint_that_waits_already_keeps_its_place(broker: RedisBroker) -> None:
    first, second = a_message(), a_message()
    await broker.publish([first, second])
    await broker.publish([second, first])
    assert await broker.depth("default") == 2
    assert tasks(await broker.receive(["default"], 9, 0)) == tasks([first, second])


async def test_queues_share_equally_within_a_priority(broker: RedisBroker) -> None:
    queues = ["a", "b", "c"]
    await broker.publish([a_message(queue) for queue in queues for _ in range(20)])
    received = await broker.receive(queues, 12, 0)
    shares = [sum(delivery.message.queue == queue for delivery in received) for queue in queues]
    assert shares == [4, 4, 4]


async def test_the_larger_share_goes_round(broker: RedisBroker) -> None:
    queues = ["a", "b", "c"]
    await broker.publish([a_message(queue) for queue in queues for _ in range(20)])
    received = [await broker.receive(queues, 1, 0) for _ in queues]
    assert {delivery.message.queue for [delivery] in received} == set(queues)


async def test_a_share_that_is_not_used_goes_to_the_others(broker: RedisBroker) -> None:
    await broker.publish([a_message("a"), *(a_message("b") for _ in range(20))])
    assert len(await broker.receive(["a", "b", "c"], 15, 0)) == 15


async def test_batches_beyond_what_a_script_may_unpack_are_one_call(broker: RedisBroker) -> None:
    messages = [a_message() for _ in range(9000)]
    await broker.publish(messages)
    received = await broker.receive(["default"], 10_000, 0)
    assert tasks(received) == tasks(messages)
    await broker.acknowledge(received)
    assert await broker.depth("default") == 0


async def test_nothing_but_the_count_of_ages_stays(
    broker: RedisBroker, admin: Redis, keys: Keys
) -> None:
    await broker.publish([a_message(queue, priority) for queue in "ab" for priority in Priority])
    await broker.acknowledge(await broker.receive(["a", "b"], 99, 0))
    assert await admin.keys() == [keys.ages.encode()]


async def test_wiping_leaves_what_is_not_ours(
    broker: RedisBroker, admin: Redis, namespace: str
) -> None:
    await admin.set(f"{namespace}:other", 1)
    await broker.publish([a_message()])
    await broker.wipe()
    assert await admin.keys() == [f"{namespace}:other".encode()]


async def test_brokers_of_a_namespace_share_messages(
    broker: RedisBroker, other: RedisBroker
) -> None:
    message = a_message()
    await broker.publish([message])
    received = await other.receive(["default"], 9, 0)
    assert tasks(received) == [message.task_id]
    assert await broker.receive(["default"], 9, 0) == []
    await broker.acknowledge(received)
    assert await other.depth("default") == 0


async def test_a_receiver_is_woken_by_another_process(
    broker: RedisBroker, other: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cueline.infrastructure.redis.broker.LONGEST_WAIT", LONG)
    for _ in range(20):
        receiver = await waiting(other, ["default"])
        message = a_message()
        await broker.publish([message])
        assert tasks(await soon(receiver)) == [message.task_id]


async def test_receivers_do_not_rely_on_being_woken(
    broker: RedisBroker, admin: Redis, keys: Keys
) -> None:
    message = a_message()
    receiver = await waiting(broker, ["default"])
    await admin.zadd(keys.waiting("default", Priority.NORMAL), {encode(message): 1})
    assert tasks(await soon(receiver)) == [message.task_id]


# --- what others have put there -------------------------------------------------------------------


async def test_bytes_that_are_no_hint_are_dropped_and_counted(
    broker: RedisBroker, admin: Redis, keys: Keys, metrics: NotingMetrics
) -> None:
    message = a_message()
    garbage = [b"", b"\xff\x00 \n", b"2 something new", encode(a_message("elsewhere"))]
    await admin.zadd(keys.waiting("default", Priority.CRITICAL), dict.fromkeys(garbage, 0))
    await broker.publish([message])
    assert tasks(await broker.receive(["default"], 1, 0)) == [message.task_id]
    assert metrics.malformed == len(garbage)
    assert await broker.depth("default") == 1


async def test_garbage_among_what_is_taken_is_dropped_when_it_is_due(
    broker: RedisBroker, admin: Redis, keys: Keys, metrics: NotingMetrics
) -> None:
    garbage = [b"", b"\xff\n", b"7 1 1 x", b"2 1 nan x", b"2 1 1"]
    await admin.zadd(keys.taken("default"), dict.fromkeys(garbage, 0))
    assert await broker.receive(["default"], 9, 0) == []
    assert metrics.malformed == len(garbage)
    assert await broker.depth("default") == 0


@pytest.mark.parametrize("spoilt", ["ages", "waiting", "taken"])
@pytest.mark.parametrize("kind", ["list", "text"])
async def test_something_else_under_a_key_is_dropped_by_whoever_meets_it(
    spoilt: str, kind: str, broker: RedisBroker, admin: Redis, keys: Keys, metrics: NotingMetrics
) -> None:
    async def spoil() -> None:
        key = {
            "ages": keys.ages,
            "waiting": keys.waiting("default", Priority.NORMAL),
            "taken": keys.taken("default"),
        }[spoilt]
        await admin.delete(key)
        await (admin.set(key, "garbage") if kind == "text" else admin.lpush(key, "garbage"))

    await spoil()
    assert await broker.depth("default") == 0
    await spoil()
    message = a_message()
    await broker.publish([message])
    received = await broker.receive(["default"], 9, 0)
    assert tasks(received) == [message.task_id]
    await spoil()
    await broker.acknowledge(received)
    assert await broker.receive(["default"], 9, 0) == []
    assert metrics.malformed >= 1


async def test_garbage_that_comes_to_a_waiting_receiver_is_dropped(
    broker: RedisBroker, admin: Redis, keys: Keys, metrics: NotingMetrics
) -> None:
    receiver = await waiting(broker, ["default"])
    garbage = {b"": 1.5, b"\xff": 1, encode(a_message("elsewhere")): -1}
    await admin.zadd(keys.waiting("default", Priority.LOW), garbage)
    await until(lambda: _now(metrics.malformed), len(garbage))
    await admin.set(keys.waiting("default", Priority.LOW), "no set at all")
    message = a_message()
    await broker.publish([message])
    assert tasks(await soon(receiver)) == [message.task_id]


# --- a server that forgets ------------------------------------------------------------------------


async def test_a_server_that_forgot_the_scripts_is_told_again(
    broker: RedisBroker, admin: Redis
) -> None:
    message = a_message()
    await admin.script_flush()
    await broker.publish([message])
    await admin.script_flush()
    assert tasks(await broker.receive(["default"], 9, 0)) == [message.task_id]


async def test_it_goes_on_after_everything_was_deleted(
    broker: RedisBroker, admin: Redis, clock: FakeClock
) -> None:
    await broker.publish([a_message() for _ in range(3)])
    held = await broker.receive(["default"], 1, 0)
    receiver = await waiting(broker, ["other"])
    await admin.flushdb()
    assert await broker.depth("default") == 0
    await broker.acknowledge(held)
    clock.advance(REDELIVERY + 1)
    messages = [a_message("other"), a_message("default")]
    await broker.publish(messages)
    assert tasks(await soon(receiver)) == tasks(messages[:1])
    assert tasks(await broker.receive(["default"], 9, 0)) == tasks(messages[1:])


# --- connections that are lost --------------------------------------------------------------------


async def test_it_goes_on_after_all_its_connections_were_killed(
    broker: RedisBroker, admin: Redis, namespace: str, blocked: Counting
) -> None:
    for _ in range(3):
        receive = partial(broker.receive, ["default"], 9, LONG)
        # It may look on a connection that is dead, and be told so: then it asks again.
        receiver = asyncio.create_task(persistently(receive))
        await until(blocked, 1)
        assert await kill(admin, namespace) >= 2  # one for commands, and the one that waits
        message = a_message()
        await persistently(partial(broker.publish, [message]))
        assert tasks(await soon(receiver)) == [message.task_id]


async def test_closing_leaves_no_connection(
    broker: RedisBroker, admin: Redis, namespace: str
) -> None:
    receivers = [await waiting(broker, ["default"]) for _ in range(5)]
    await broker.close()
    assert [await soon(receiver) for receiver in receivers] == [[]] * 5
    await until(lambda: connections(admin, namespace), [])
    with pytest.raises(Unavailable, match="closed"):
        await broker.receive(["default"], 1, LONG)


async def test_closing_ends_although_somebody_keeps_receiving(
    broker: RedisBroker, blocked: Counting
) -> None:
    async def receive_for_ever() -> None:
        while True:
            await broker.receive(["default"], 1, LONG)

    receiving = asyncio.create_task(receive_for_ever())
    await until(blocked, 1)
    async with asyncio.timeout(LONG):
        await broker.close()
        with pytest.raises(Unavailable, match="closed"):
            await receiving


async def test_what_is_under_way_at_the_close_leaves_no_connection(
    broker: RedisBroker, admin: Redis, namespace: str
) -> None:
    publishing = [asyncio.create_task(broker.publish([a_message()])) for _ in range(3)]
    await asyncio.sleep(0)
    await broker.close()
    await asyncio.gather(*publishing, return_exceptions=True)
    await until(lambda: connections(admin, namespace), [])


async def test_few_connections_are_kept_after_many_have_waited(
    broker: RedisBroker, admin: Redis, namespace: str, blocked: Counting
) -> None:
    receivers = [await waiting(broker, ["default"]) for _ in range(50)]
    await until(blocked, 50)
    for receiver in receivers:
        receiver.cancel()
    await until(blocked, 0)
    await asyncio.gather(*receivers, return_exceptions=True)
    await broker.depth("default")

    async def are_few() -> bool:
        return len(await connections(admin, namespace)) <= 2 * MOST_IDLE

    await until(are_few, True)


@pytest.mark.parametrize(
    "option", ["socket_timeout=0.01", "protocol=3", "decode_responses=true", "client_name=other"]
)
async def test_what_an_address_says_of_the_protocol_does_not_matter(
    option: str, new_broker: NewBroker, redis_url: str, metrics: NotingMetrics, blocked: Counting
) -> None:
    broker = await new_broker(f"{redis_url}?{option}")
    receiver = await waiting(broker, ["default"])
    await until(blocked, 1)
    await asyncio.sleep(0.05)  # longer than that limit
    message = a_message()
    await broker.publish([message])
    assert tasks(await soon(receiver)) == [message.task_id]
    assert metrics.answers == [True]


async def test_several_that_lose_their_connections_tell_of_one_loss(
    new_broker: NewBroker, gate: Gate, gated_url: str, metrics: NotingMetrics, blocked: Counting
) -> None:
    broker = await new_broker(gated_url)
    receivers = [await waiting(broker, ["default"]) for _ in range(4)]
    await until(blocked, 4)
    await gate.shut()
    for receiver in receivers:
        with pytest.raises(Unavailable):
            await soon(receiver)
    assert metrics.answers == [True, False]


async def test_a_closed_broker_can_be_opened_again(broker: RedisBroker) -> None:
    message = a_message()
    await broker.publish([message])
    await broker.close()
    await broker.open()
    assert tasks(await broker.receive(["default"], 9, 0)) == [message.task_id]


# --- a server that is away ------------------------------------------------------------------------


async def test_a_server_that_is_away_at_the_start_is_found_when_it_comes(
    new_broker: NewBroker, gate: Gate, gated_url: str, metrics: NotingMetrics
) -> None:
    await gate.shut()
    broker = await new_broker(gated_url)
    await each_is_refused(broker)
    assert metrics.answers == [False]
    await gate.open()
    message = a_message()
    await persistently(lambda: broker.publish([message]))
    assert metrics.answers == [False, True]
    assert tasks(await broker.receive(["default"], 9, LONG)) == [message.task_id]


async def test_a_waiting_receiver_learns_that_the_server_went_away(
    new_broker: NewBroker, gate: Gate, gated_url: str, metrics: NotingMetrics
) -> None:
    broker = await new_broker(gated_url)
    receiver = await waiting(broker, ["default"])
    await gate.shut()
    with pytest.raises(Unavailable):
        await soon(receiver)
    await each_is_refused(broker)
    await gate.open()
    assert await persistently(lambda: broker.depth("default")) == 0
    assert metrics.answers == [True, False, True]


async def test_a_silent_server_counts_as_away(
    new_broker: NewBroker, gate: Gate, gated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cueline.infrastructure.redis.server.COMMAND_TIMEOUT", 0.1)
    broker = await new_broker(gated_url)
    gate.hold()
    with pytest.raises(Unavailable):
        await broker.depth("default")
    await each_is_refused(broker)
    gate.release()
    assert await persistently(lambda: broker.depth("default")) == 0


async def test_silence_during_a_wait_is_noticed_without_any_other_command(
    new_broker: NewBroker,
    gate: Gate,
    gated_url: str,
    metrics: NotingMetrics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cueline.infrastructure.redis.server.COMMAND_TIMEOUT", 0.1)
    monkeypatch.setattr("cueline.infrastructure.redis.broker.LONGEST_WAIT", 0.1)
    receiver = await waiting(await new_broker(gated_url), ["default"])
    gate.hold()
    with pytest.raises(Unavailable, match="the broker"):
        await soon(receiver)
    await until(lambda: _now(metrics.answers[:2]), [True, False])
    gate.release()
    await until(lambda: _now(metrics.answers[-1]), True)


async def test_a_connection_on_which_nothing_is_said_is_kept(
    redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = 0.3  # a busy machine answers later than in a few milliseconds
    monkeypatch.setattr("cueline.infrastructure.redis.listener.SILENCE", silence)
    began: list[None] = []
    server = Server(redis_url, namespace, "the server")
    listener = Listener(server, namespace, lambda _: None, lambda: began.append(None))
    await server.open()
    listener.open()
    await until(lambda: _now(began), [None])
    await asyncio.sleep(4 * silence)
    assert began == [None]
    await listener.close()
    await server.close()


async def test_the_address_is_told_but_no_password(gate: Gate, namespace: str) -> None:
    await gate.shut()
    url = f"redis://somebody:verysecret@127.0.0.1:{gate.port}/8"
    broker = RedisBroker(url, namespace, FakeClock(), NotingMetrics())
    await broker.open()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{gate.port}") as refused:
        await broker.publish([a_message()])
    await broker.close()
    assert "verysecret" not in str(refused.value)


# --- giving up ------------------------------------------------------------------------------------


async def test_what_a_receiver_had_taken_that_gave_up_is_there_for_others_at_once(
    new_broker: NewBroker, broker: RedisBroker, admin: Redis, keys: Keys, gate: Gate, gated_url: str
) -> None:
    hasty = await new_broker(gated_url)
    await hasty.depth("default")  # so that it has a connection for commands
    messages = [a_message(queue) for queue in ("default", "mail", "default")]
    await broker.publish(messages)
    gate.hold()
    receiver = asyncio.create_task(hasty.receive(["default", "mail"], 9, LONG))
    await until(lambda: admin.zcard(keys.taken("default")), 2)  # taken, and not answered yet
    receiver.cancel()
    await asyncio.gather(receiver, return_exceptions=True)
    assert receiver.cancelled()
    others = [await waiting(broker, [queue]) for queue in ("default", "mail")]
    gate.release()
    received = [tasks(await soon(other)) for other in others]
    assert received == [tasks([messages[0], messages[2]]), tasks([messages[1]])]


async def test_what_was_handed_over_to_a_receiver_that_gave_up_is_there_for_others_at_once(
    new_broker: NewBroker,
    broker: RedisBroker,
    admin: Redis,
    blocked: Counting,
    keys: Keys,
    gate: Gate,
    gated_url: str,
) -> None:
    hasty = await new_broker(gated_url)
    receiver = await waiting(hasty, ["default"])
    await until(blocked, 1)
    gate.hold()
    messages = [a_message() for _ in range(3)]
    await broker.publish(messages)
    await until(lambda: admin.exists(keys.waiting("default", Priority.NORMAL)), 0)
    receiver.cancel()
    await asyncio.gather(receiver, return_exceptions=True)
    other = await waiting(broker, ["default"])
    gate.release()
    assert tasks(await soon(other)) == tasks(messages)
    assert await broker.depth("default") == len(messages)


async def test_a_receiver_that_gives_up_does_not_keep_the_server_waiting(
    broker: RedisBroker, blocked: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cueline.infrastructure.redis.broker.LONGEST_WAIT", LONG)
    receiver = await waiting(broker, ["default"])
    await until(blocked, 1)
    receiver.cancel()
    await until(blocked, 0)


async def test_whoever_may_not_know_its_own_number_waits_all_the_same(
    new_broker: NewBroker, redis_url: str, admin: Redis, namespace: str
) -> None:
    await admin.acl_setuser(
        namespace,
        enabled=True,
        passwords=["+secret"],
        keys=["*"],
        channels=["*"],
        categories=["+@all"],
        commands=["-client|id"],
    )
    try:
        url = urlsplit(redis_url)
        broker = await new_broker(
            url._replace(netloc=f"{namespace}:secret@{url.hostname}:{url.port}").geturl()
        )
        receiver = await waiting(broker, ["default"])
        message = a_message()
        await broker.publish([message])
        assert tasks(await soon(receiver)) == [message.task_id]
        await broker.close()
    finally:
        await admin.acl_deluser(namespace)


# --- what is handed over to who waits -------------------------------------------------------------


async def test_of_what_is_published_at_once_the_most_urgent_is_handed_over_first(
    broker: RedisBroker, other: RedisBroker, blocked: Counting
) -> None:
    low, critical = (a_message(priority=each) for each in (Priority.LOW, Priority.CRITICAL))
    assert tasks(await handed_over(broker, [low, critical], other, blocked)) == [critical.task_id]
    assert tasks(await other.receive(["default"], 9, 0)) == [low.task_id]


async def test_a_wiped_broker_has_forgotten_what_it_was_handed(
    broker: RedisBroker, other: RedisBroker, blocked: Counting, clock: FakeClock
) -> None:
    await handed_over(broker, [a_message()], other, blocked)
    await broker.wipe()
    clock.advance(REDELIVERY + 1)
    assert await other.depth("default") == 0
    assert await other.receive(["default"], 9, 0) == []


async def test_of_several_that_wait_one_is_handed_what_comes(
    broker: RedisBroker, other: RedisBroker, blocked: Counting
) -> None:
    receivers = [await waiting(each, ["default"]) for each in (broker, other)]
    await until(blocked, 2)
    messages = [a_message() for _ in range(5)]
    await broker.publish(messages)
    done, [left] = await asyncio.wait(receivers, return_when=asyncio.FIRST_COMPLETED)
    assert [tasks(receiver.result()) for receiver in done] == [tasks(messages)]
    left.cancel()


async def test_what_is_acknowledged_in_time_was_never_noted(
    new_broker: NewBroker,
    other: RedisBroker,
    admin: Redis,
    blocked: Counting,
    keys: Keys,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cueline.infrastructure.redis.broker.NOTED_AFTER", LONG)
    broker = await new_broker()
    received = await handed_over(broker, [a_message()], other, blocked)
    assert await admin.zcard(keys.taken("default")) == 0
    await broker.acknowledge(received)
    assert await broker.depth("default") == 0
    clock.advance(REDELIVERY + 1)
    assert await other.receive(["default"], 9, 0) == []


async def test_what_is_not_acknowledged_for_a_moment_is_noted_and_comes_again(
    broker: RedisBroker,
    other: RedisBroker,
    admin: Redis,
    blocked: Counting,
    keys: Keys,
    clock: FakeClock,
) -> None:
    message = a_message()
    await handed_over(broker, [message], other, blocked)
    await until(lambda: admin.zcard(keys.taken("default")), 1)
    assert await other.receive(["default"], 9, 0) == []
    clock.advance(REDELIVERY + 1)
    assert tasks(await other.receive(["default"], 9, 0)) == [message.task_id]


async def test_who_closes_leaves_to_others_what_it_was_handed(
    broker: RedisBroker, other: RedisBroker, blocked: Counting, clock: FakeClock
) -> None:
    message = a_message()
    await handed_over(broker, [message], other, blocked)
    await broker.close()
    clock.advance(REDELIVERY + 1)
    assert tasks(await other.receive(["default"], 9, 0)) == [message.task_id]


async def test_receivers_that_keep_giving_up_lose_nothing(
    broker: RedisBroker, other: RedisBroker
) -> None:
    messages = [a_message() for _ in range(50)]
    received: list[Delivery] = []

    async def impatient() -> None:
        while len(received) < len(messages):
            receiver = asyncio.create_task(broker.receive(["default"], 1, LONG))
            for _ in range(len(received) % 7):
                await asyncio.sleep(0)
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
            if not receiver.cancelled():
                received.extend(receiver.result())

    async def patient() -> None:
        while len(received) < len(messages):
            received.extend(await other.receive(["default"], 1, 0.05))

    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        group.create_task(impatient())
        group.create_task(patient())
        for message in messages:
            await broker.publish([message])
    assert sorted(tasks(received)) == sorted(tasks(messages))


# --- the channel ----------------------------------------------------------------------------------


@asynccontextmanager
async def heard_on(url: str, namespace: str) -> AsyncIterator[tuple[RedisChannel, list[bytes]]]:
    """An open channel, and what it hears."""
    channel, heard = RedisChannel(url, namespace), list[bytes]()
    await channel.open(heard.append)
    try:
        yield channel, heard
    finally:
        await channel.close()
        await channel.close()


async def test_channels_hear_one_another_and_themselves_in_order(
    redis_url: str, namespace: str, admin: Redis
) -> None:
    async with (
        heard_on(redis_url, namespace) as (one, by_one),
        heard_on(redis_url, namespace) as (_, by_two),
    ):
        await listeners(admin, namespace, 2)
        payloads = [b"%d" % n for n in range(200)]
        await asyncio.gather(*(one.send(payload) for payload in payloads))
        await until(lambda: _now(by_one[-1:] == by_two[-1:] == payloads[-1:]), True)
        assert by_one == by_two == payloads


async def test_a_channel_carries_the_largest_payload(
    redis_url: str, namespace: str, admin: Redis
) -> None:
    async with heard_on(redis_url, namespace) as (channel, heard):
        await listeners(admin, namespace, 1)
        payload = bytes(range(250)) * (channel.largest // 250)
        await channel.send(payload)
        await until(lambda: _now(heard), [payload])


async def test_a_channel_hears_again_after_its_connections_were_killed(
    redis_url: str, namespace: str, admin: Redis
) -> None:
    async with heard_on(redis_url, namespace) as (channel, heard):
        for n in range(3):
            await listeners(admin, namespace, 1)
            assert await kill(admin, namespace)
            await listeners(admin, namespace, 1)
            await persistently(partial(channel.send, b"%d" % n))
            await until(lambda: _now(heard[-1:]), [b"%d" % n])


async def test_a_channel_survives_what_its_receiver_cannot_take(
    redis_url: str, namespace: str, admin: Redis
) -> None:
    heard: list[int] = []
    channel = RedisChannel(redis_url, namespace)
    await channel.open(lambda payload: heard.append(int(payload)))
    await listeners(admin, namespace, 1)
    await channel.send(b"not a number")
    await channel.send(b"7")
    await until(lambda: _now(heard), [7])
    await channel.close()


async def test_a_channel_says_when_it_carries_nothing(
    gate: Gate, gated_url: str, namespace: str, admin: Redis
) -> None:
    await gate.shut()
    async with heard_on(gated_url, namespace) as (channel, heard):
        with pytest.raises(Unavailable, match="the event channel"):
            await channel.send(b"lost")
        await gate.open()
        await listeners(admin, namespace, 1)
        await persistently(lambda: channel.send(b"carried"))
        await until(lambda: _now(heard), [b"carried"])


# --- ways of asking -------------------------------------------------------------------------------


async def connections(admin: Redis, namespace: str) -> list[str]:
    """The ids of the connections of a namespace."""
    return [client["id"] for client in await admin.client_list() if client["name"] == namespace]


async def kill(admin: Redis, namespace: str) -> int:
    """Kill all connections of a namespace; how many they were."""
    killed = await connections(admin, namespace)
    for id in killed:
        await admin.client_kill_filter(_id=id)
    return len(killed)


async def listeners(admin: Redis, namespace: str, count: int) -> None:
    """Wait until so many channels listen."""
    topic = f"{{{namespace}}}:events"
    await until(lambda: admin.pubsub_numsub(topic), [(topic.encode(), count)])


async def each_is_refused(broker: Broker) -> None:
    """See that every operation says that the broker is away."""
    operations: Sequence[Awaitable[object]] = (
        broker.publish([a_message()]),
        broker.receive(["default"], 1, LONG),
        broker.acknowledge([Delivery(Message(a_message().task_id, "a", Priority.LOW), "tag")]),
        broker.depth("default"),
        broker.wipe(),
    )
    for operation in operations:
        with pytest.raises(Unavailable, match="the broker"):
            await operation


async def persistently(operation: Callable[[], Awaitable[Any]]) -> Any:
    """What an operation answers as soon as it is available."""
    async with asyncio.timeout(LONG):
        while True:
            try:
                return await operation()
            except Unavailable:
                await asyncio.sleep(0.01)


async def handed_over(
    broker: RedisBroker, messages: Sequence[Message], publisher: RedisBroker, blocked: Counting
) -> list[Delivery]:
    """What a broker is handed that waits while another publishes messages."""
    receiver = await waiting(broker, ["default"])
    await until(blocked, 1)
    await publisher.publish(messages)
    return await soon(receiver)


async def until(ask: Callable[[], Awaitable[Any]], answer: object) -> None:
    """Ask until that is the answer."""
    async with asyncio.timeout(LONG):
        while True:
            if await ask() == answer:
                return
            await asyncio.sleep(0.01)


async def _now(value: object) -> object:
    return value


async def test_whoever_asks_redis_again_and_again_can_be_cancelled_at_any_moment(
    redis_url: str,
) -> None:
    server = Server(redis_url, "test", "the broker")
    await server.open()
    asked = 0

    async def ask_for_ever() -> None:
        nonlocal asked
        while True:
            await server.ask(lambda line: line.ask(("PING",)))
            asked += 1

    try:
        for turns in range(100):  # of the event loop, before it is cancelled
            asking = asyncio.create_task(ask_for_ever())
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            asking.cancel()
            done, _ = await asyncio.wait([asking], timeout=5)
            while not asking.done():
                asking.cancel()
                await asyncio.wait([asking], timeout=0.1)
            assert done, f"cancelled after {turns % 20} turns, it went on"
    finally:
        await server.close()
