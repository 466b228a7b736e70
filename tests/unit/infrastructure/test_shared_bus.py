"""The event bus across processes, on a channel in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

import pytest

from cueline.domain.errors import Unavailable
from cueline.domain.events import Event, Subject
from cueline.infrastructure.events.bus import UNSENT, SharedEventBus
from cueline.infrastructure.events.codec import VERSION, Payload, encode_event
from tests.contracts.event_bus import SharedBusContract, an_event, following, opened, until
from tests.doubles import NOW
from tests.loopback import Loopback, LoopbackChannel

STRANGER = "0123456789abcdef" * 2


@pytest.fixture
def loopback() -> Loopback:
    return Loopback()


class TestSharedEventBus(SharedBusContract):
    adapter = LoopbackChannel

    @pytest.fixture
    def new_channel(self, loopback: Loopback) -> Callable[[], Awaitable[LoopbackChannel]]:
        async def new() -> LoopbackChannel:
            return LoopbackChannel(loopback)

        return new


def a_bus(
    loopback: Loopback, *, announcing: float = 0.02, patience: float = 60.0
) -> AbstractAsyncContextManager[SharedEventBus]:
    return opened(LoopbackChannel(loopback), announcing=announcing, patience=patience)


# --- what it costs when nobody looks --------------------------------------------------------------


async def test_nothing_is_sent_while_nobody_watches(loopback: Loopback) -> None:
    async with a_bus(loopback) as bus:
        await bus.publish([an_event("a", 1)])
    assert loopback.sent == []


async def test_events_are_not_sent_for_subscribers_of_the_same_process(loopback: Loopback) -> None:
    async with a_bus(loopback) as bus, bus.subscribe(["a"]) as events:
        await bus.publish([an_event("a", 1)])
        await following(events)
        await until(lambda: len(loopback.sent) > 1)
    assert all(payload.endswith(b" 1 []") for payload in loopback.sent)


async def test_subscribing_again_and_again_is_not_announced_each_time(loopback: Loopback) -> None:
    async with a_bus(loopback, announcing=60.0) as bus, a_bus(loopback) as other:
        async with bus.subscribe(["a"]):
            await until(lambda: other.is_watched)
        [announced] = loopback.sent
        async with other.subscribe(["b"]):  # which announces all the time
            while len(loopback.sent) < 5:
                async with bus.subscribe(["a"]):
                    await asyncio.sleep(0.001)
    assert loopback.sent.count(announced) == 1


async def test_events_that_come_together_travel_together(loopback: Loopback) -> None:
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["a"]) as events:
        await until(lambda: bus.is_watched)
        for n in range(5):
            await bus.publish([an_event("a", n)])
        assert [(await following(events)).sequence for _ in range(5)] == list(range(5))
    assert len([payload for payload in loopback.sent if b"status" in payload]) == 1


# --- limits ---------------------------------------------------------------------------------------


async def test_an_event_that_is_too_large_comes_without_its_data(loopback: Loopback) -> None:
    large = Event(Subject.TASK, "a", 1, "log", NOW, {"message": "x" * LoopbackChannel.largest})
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["a"]) as events:
        await until(lambda: bus.is_watched)
        await bus.publish([an_event("a", 0), large, an_event("a", 2)])
        heard = [await following(events) for _ in range(3)]
    assert heard == [an_event("a", 0), Event(Subject.TASK, "a", 1, "log", NOW), an_event("a", 2)]


@pytest.mark.parametrize(
    "unsendable",
    [
        Event(Subject.TASK, "a", 1, "log", NOW, {"message": 2**80}),
        Event(Subject.TASK, "a" * LoopbackChannel.largest, 1, "log", NOW),
    ],
)
async def test_an_event_that_cannot_be_sent_is_dropped_alone(
    loopback: Loopback, unsendable: Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["a"]) as events:
        await until(lambda: bus.is_watched)
        await bus.publish([an_event("a", 0), unsendable, an_event("a", 2)])
        assert [(await following(events)).sequence for _ in range(2)] == [0, 2]
    assert "the channel cannot carry: 1 (" in caplog.text


async def test_the_oldest_are_dropped_when_more_come_than_the_channel_carries(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["b"]) as events:
        await until(lambda: bus.is_watched)
        await bus.publish([an_event("b", n) for n in range(10)])
        await bus.publish([an_event("a", n) for n in range(UNSENT - 5)])
        await bus.publish([an_event("b", 10)])
        heard = [(await following(events)).sequence for _ in range(5)]
    assert heard == [6, 7, 8, 9, 10]
    assert "came too fast for the channel: 5" in caplog.text


# --- a channel that fails -------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Unavailable("the loopback"), RuntimeError("a bug")])
async def test_a_channel_that_fails_costs_events_and_a_line_in_the_log(
    loopback: Loopback, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["a"]) as far:
        await until(lambda: bus.is_watched)
        loopback.fail(failure)
        async with bus.subscribe(["a"]) as own:
            tried = loopback.attempts
            for n in range(5):
                await bus.publish([an_event("a", n)])
                assert (await following(own)).sequence == n  # here it goes on as ever
            await until(lambda: loopback.attempts > tried + 5)
        loopback.mend()
        await bus.publish([an_event("a", 9)])
        assert (await following(far)).sequence == 9
        await until(lambda: caplog.text.count("reach other processes again") == 2)
    assert caplog.text.count("do not reach other processes") == 2  # once for each bus


async def test_presence_is_announced_again_when_the_channel_is_back(loopback: Loopback) -> None:
    loopback.fail()
    async with a_bus(loopback) as bus, a_bus(loopback) as other, other.subscribe(["a"]):
        await until(lambda: loopback.attempts > 2)
        assert not bus.is_watched
        loopback.mend()
        await until(lambda: bus.is_watched)


async def test_closing_does_not_wait_for_a_channel_that_hangs(loopback: Loopback) -> None:
    class Hanging(LoopbackChannel):
        async def send(self, payload: bytes) -> None:
            await asyncio.Event().wait()

    bus = SharedEventBus(Hanging(loopback))
    await bus.open()
    async with bus.subscribe(["a"]) as events:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await bus.close()
            assert [event async for event in events] == []
    assert loopback.receivers == []


async def test_closing_leaves_no_task_behind(loopback: Loopback) -> None:
    before = asyncio.all_tasks()
    async with a_bus(loopback) as bus, bus.subscribe(["a"]):
        await until(lambda: bool(loopback.sent))
    assert asyncio.all_tasks() == before


# --- what comes from strangers --------------------------------------------------------------------

ROW = b'["task","a",1,"status","2026-03-01T12:00:00+00:00",{}]'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\x00\xfe", id="bytes"),
        pytest.param(b"{}", id="an object"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"[" + ROW + b",[]]", id="a good event and a bad one"),
        pytest.param(b"[" + ROW.replace(b'"a"', b"[]") + b"]", id="about nothing that has a name"),
        pytest.param(b"[" + ROW.replace(b'"task"', b'"system"') + b"]", id="an unknown subject"),
        pytest.param(b"[" + ROW.replace(b",1,", b',"1",') + b"]", id="a sequence of text"),
        pytest.param(b"[" + ROW.replace(b",1,", b",-1,") + b"]", id="a negative sequence"),
        pytest.param(b"[" + ROW.replace(b",1,", b",true,") + b"]", id="a sequence of truth"),
        pytest.param(b"[" + ROW.replace(b"+00:00", b"") + b"]", id="no zone"),
        pytest.param(b"[" + ROW.replace(b"2026-", b"x") + b"]", id="no moment"),
        pytest.param(b"[" + ROW.replace(b"status", b"status\\ndata: x") + b"]", id="a line break"),
        pytest.param(b"[" + ROW.replace(b"status", b"x" * 201) + b"]", id="a long type"),
        pytest.param(b"[" + ROW.replace(b"{}", b"[]") + b"]", id="data that is no object"),
    ],
)
async def test_a_body_that_is_not_ours_is_refused_whole(loopback: Loopback, body: bytes) -> None:
    async with a_bus(loopback) as bus, bus.subscribe(["a"]) as events:
        loopback.carry(Payload(STRANGER, False, body).encode())
        loopback.carry(Payload(STRANGER, False, b"[" + ROW + b"]").encode())
        assert await following(events) == Event(Subject.TASK, "a", 1, "status", NOW)
        await bus.close()
        assert [event async for event in events] == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff" * 100,
        b"%d %s 1 []" % (VERSION + 1, STRANGER.encode()),
        b"%d %s 2 []" % (VERSION, STRANGER.encode()),
        b"%d ../../etc/passwd 1 []" % VERSION,
    ],
)
async def test_a_head_that_is_not_ours_makes_nobody_watched(
    loopback: Loopback, payload: bytes
) -> None:
    async with a_bus(loopback) as bus, a_bus(loopback) as other:
        loopback.carry(payload)
        async with other.subscribe(["a"]):  # its announcement comes after the payload
            await until(lambda: bus.is_watched)
        assert not other.is_watched


async def test_refused_payloads_are_counted_and_told_once(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_bus(loopback) as bus, bus.subscribe(["a"]) as events:
        for _ in range(1000):
            loopback.carry(b"rubbish")
        loopback.carry(Payload(STRANGER, False, b"[" + ROW + b"]").encode())
        await following(events)
    assert caplog.text.count("no events of ours") == 1


async def test_what_others_tell_is_not_even_read_without_subscribers(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_bus(loopback) as bus:
        loopback.carry(Payload(STRANGER, True, b"not JSON").encode())
        await until(lambda: bus.is_watched)
    assert caplog.text == ""


def test_a_moment_comes_back_to_the_microsecond() -> None:
    at = datetime.fromisoformat("2026-03-01T12:00:00.000001+02:00")
    event = Event(Subject.RUN, "a", 0, "log", at)
    payload = Payload(STRANGER, True, b"[%s]" % encode_event(event, 1000))
    [read] = Payload.decode(payload.encode()).events({"a"})
    assert read == event
