"""The link to the broker: one call that fails speaks for all, and the return is noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from cueline.application import link
from cueline.application.ports.broker import Message
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from tests.brittle import EVERYTHING
from tests.factories import a_task_id
from tests.harness import Harness

UP = "cueline_broker_up"
AWAY = "the broker does not answer: a test wants it so"

Call = Callable[[Harness], Coroutine[Any, Any, object]]

CALLS: dict[str, Call] = {
    "publish": lambda h: h.link.publish([Message(a_task_id(), "default", Priority.LOW)]),
    "receive": lambda h: h.link.receive(["default"], 1, 0),
    "acknowledge": lambda h: h.link.acknowledge([]),
    "depth": lambda h: h.link.depth("default"),
}


async def refused(call: Coroutine[Any, Any, object]) -> str:
    """What a call says that is refused."""
    with pytest.raises(Unavailable) as caught:
        await call
    return str(caught.value)


@pytest.mark.parametrize("operation", CALLS)
async def test_any_call_that_fails_shows_that_the_broker_is_away(
    h: Harness, operation: str
) -> None:
    assert h.measured(UP) == 1
    h.broker.refusing = frozenset({operation})
    assert "a test wants it so" in await refused(CALLS[operation](h))
    assert not h.link.answers()
    assert h.measured(UP) == 0


@pytest.mark.parametrize("operation", CALLS)
async def test_a_broker_that_swallows_a_call_is_away(
    h: Harness, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(link, "PATIENCE", 0.01)
    h.broker.silent = frozenset({operation})
    assert "nothing came within 0.01 s" in await refused(CALLS[operation](h))
    assert h.measured(UP) == 0


@pytest.mark.parametrize("operation", CALLS)
async def test_while_it_is_away_no_call_reaches_it(
    h: Harness, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(link, "PROBE_DISTANCE", 3600)
    await h.broker_goes_away()
    h.broker.asked.clear()
    assert "known to be away" in await refused(CALLS[operation](h))
    assert not h.broker.asked


async def test_many_calls_that_are_swallowed_wait_together_and_for_one_only(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PATIENCE", 0.01)
    monkeypatch.setattr(link, "PROBE_DISTANCE", 3600)
    h.broker.silent = EVERYTHING
    waiting = [h.link.receive(["default"], 1, 3600) for _ in range(5)]
    asking = [h.link.depth("default") for _ in range(5)]
    async with asyncio.timeout(2):
        answers = await asyncio.gather(*waiting, *asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}


async def test_a_wait_for_messages_ends_when_another_call_fails(h: Harness) -> None:
    waiting = asyncio.create_task(h.link.receive(["default"], 1, 3600))
    await asyncio.sleep(0)
    await h.broker_goes_away()
    async with asyncio.timeout(2):
        await refused(asyncio.wait_for(waiting, 2))


async def test_a_wait_that_is_cancelled_says_nothing_of_the_broker(h: Harness) -> None:
    waiting = asyncio.create_task(h.link.receive(["default"], 1, 3600))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert h.link.answers()


async def test_it_is_used_again_once_it_answers(h: Harness) -> None:
    await h.broker_goes_away()
    await h.broker_comes_back()
    assert await h.link.depth("default") == 0
    assert h.measured(UP) == 1


async def test_it_is_asked_in_the_background_and_by_one_only(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE_DISTANCE", 0)
    await h.broker_goes_away()
    h.broker.asked.clear()
    h.broker.silent, h.broker.refusing = frozenset({"depth"}), frozenset()
    for _ in range(10):
        assert not h.link.answers()
        await asyncio.sleep(0)
    assert h.broker.asked == {"depth": 1}
    await h.link.close()
    await h.link.close()


async def test_it_is_asked_again_although_asking_raised_what_nobody_expected(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def fail(queue: str) -> int:
        asked.set()
        raise ValueError(queue)

    await h.broker_goes_away()
    with monkeypatch.context() as patch:
        patch.setattr(h.broker, "depth", fail)
        while not asked.is_set():
            assert not h.link.answers()
            await asyncio.sleep(0.001)
    await h.broker_comes_back()


async def test_a_broker_that_keeps_failing_is_trusted_less_and_less(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    distances = []
    monkeypatch.setattr(link, "LONGEST_DISTANCE", 0.006)
    for _ in range(5):
        await h.broker_goes_away()
        distances.append(h.link._distance)
        await h.broker_comes_back()
    assert distances == [0.001, 0.002, 0.004, 0.006, 0.006]
    monkeypatch.setattr(link, "RELAPSE", 0)
    await h.broker_goes_away()
    assert h.link._distance == 0.001


async def test_the_log_tells_of_the_going_and_the_coming_once(
    h: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await h.broker_goes_away()
    for call in CALLS.values():
        await refused(call(h))
    await h.broker_comes_back()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"{AWAY}; until it is back, work goes on from the store"),
        ("INFO", "the broker answers again"),
    ]
