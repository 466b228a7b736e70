"""What Redis handed over and keeps no account of, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cueline.application.ports.broker import Delivery, Message
from cueline.domain.task import Priority
from cueline.infrastructure.redis.handed import Handed
from tests.factories import a_task_id

LONG = 30.0


class Noting:
    """Notes as slowly as it is told."""

    def __init__(self) -> None:
        self.noted: list[Delivery] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.noted.extend(deliveries)


def a_delivery() -> Delivery:
    task = a_task_id()
    return Delivery(Message(task, "mail", Priority.NORMAL), f"2 0 1 {task}")


async def test_what_is_acknowledged_in_time_is_never_noted() -> None:
    noting = Noting()
    handed = Handed(noting, LONG)
    first, second = a_delivery(), a_delivery()
    handed.add([first, second])
    assert await handed.acknowledge([first]) == []
    await handed.note_all()
    assert noting.noted == [second]


async def test_what_is_not_acknowledged_is_noted_after_a_while_once() -> None:
    noting = Noting()
    handed = Handed(noting, 0.0)
    delivery = a_delivery()
    handed.add([delivery])
    await asyncio.wait_for(noting.begun.wait(), LONG)
    await handed.note_all()
    assert noting.noted == [delivery]
    assert await handed.acknowledge([delivery]) == [delivery]


async def test_an_acknowledgement_waits_until_what_is_being_noted_is_noted() -> None:
    noting = Noting()
    noting.may_end.clear()
    handed = Handed(noting, 0.0)
    delivery = a_delivery()
    handed.add([delivery])
    await asyncio.wait_for(noting.begun.wait(), LONG)
    acknowledging = asyncio.create_task(handed.acknowledge([delivery]))
    done, _ = await asyncio.wait([acknowledging], timeout=0.01)
    assert not done
    noting.may_end.set()
    assert await acknowledging == [delivery]
    assert noting.noted == [delivery]


async def test_what_comes_after_a_note_is_noted_in_its_turn() -> None:
    noting = Noting()
    handed = Handed(noting, 0.0)
    deliveries = [a_delivery(), a_delivery()]
    for delivery in deliveries:
        noting.begun.clear()
        handed.add([delivery])
        await asyncio.wait_for(noting.begun.wait(), LONG)
    await handed.note_all()
    assert noting.noted == deliveries
