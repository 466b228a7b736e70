"""The catalogue of task definitions."""

from __future__ import annotations

from cueline.application.catalogue import FRESH
from tests.harness import Harness, a_definition


async def test_a_process_without_the_application_learns_of_tasks_from_the_store(
    h: Harness,
) -> None:
    node = Harness(definitions=(), beside=h)
    assert await node.app.catalogue.find("send") is None
    await h.app.catalogue.register()
    h.clock.advance(FRESH.total_seconds())
    found = await node.app.catalogue.find("send")
    assert found is not None
    assert found.retry.attempts == 3
    assert await node.app.catalogue.names() == await h.app.catalogue.names()


async def test_registering_an_empty_application_forgets_nothing(h: Harness) -> None:
    await h.app.catalogue.register()
    await Harness(definitions=(), beside=h).app.catalogue.register()
    assert await h.app.queries.definitions()


async def test_the_last_application_to_start_has_the_last_word(h: Harness) -> None:
    await h.app.catalogue.register()
    newer = Harness([a_definition("send", "order")], beside=h)
    await newer.app.catalogue.register()
    stored = {item.name: item for item in await h.app.queries.definitions()}
    assert stored["send"].input_schema == {"required": ["order"]}
    assert "reserve" in stored
