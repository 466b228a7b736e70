"""The doctor: what is selected, what it can do, and what it means when a part does not answer."""

from __future__ import annotations

import pytest

from cueline.app import App
from cueline.doctor import examine
from cueline.domain.errors import CuelineError, Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.store import MemoryStore
from cueline.interfaces.cli import Check
from cueline.loading import load_settings


async def examined(store: str = "memory://", **more: str) -> dict[str, Check]:
    settings = load_settings(store=store, **more)
    return {check.name: check for check in await examine(settings, App("shop"))}


async def test_parts_that_answer_are_well() -> None:
    found = await examined()
    assert found["store answers"] == Check("store answers", True, "ok")
    assert found["broker answers"] == Check("broker answers", True, "ok")


async def test_it_says_what_the_selected_adapters_declare() -> None:
    found = await examined(namespace="shop")
    assert found["store"].detail == "memory://"
    assert found["store can"].detail == (
        "serve this process only, not keep what is committed over a restart, "
        "not take part in your transactions"
    )
    assert found["broker"].detail == "on the store (memory)"
    assert found["broker can"].detail.startswith("wake this process only, not keep messages")
    assert found["events"].detail.startswith("by memory: live in this process only")
    assert found["namespace"].detail.startswith("shop:")


async def test_a_broker_that_is_away_is_named_with_what_it_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(self: MemoryBroker, queue: str) -> dict[Priority, int]:
        raise Unavailable("the broker", queue)

    monkeypatch.setattr(MemoryBroker, "depths", refuse)
    broker = (await examined())["broker answers"]
    assert broker.ok is False
    assert "workers take tasks from the store" in broker.detail
    assert "nothing is lost" in broker.detail


async def test_a_store_that_cannot_be_used_is_named_and_the_broker_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(self: MemoryStore) -> None:
        raise CuelineError("it is of a newer version")

    monkeypatch.setattr(MemoryStore, "open", refuse)
    found = await examined()
    assert found["store answers"].ok is False
    assert "newer version" in found["store answers"].detail
    assert found["broker answers"].ok is None


async def test_roles_that_the_adapters_cannot_fill_are_named() -> None:
    roles = (await examined(roles="api"))["roles"]
    assert roles.ok is False
    assert "use sqlite:/// or postgresql://" in roles.detail


async def test_passwords_are_not_shown() -> None:
    shown = str(
        await examined(broker="redis://me:secret@127.0.0.1:1/0", smtp="smtp://me:secret@mail")
    )
    assert "redis://me:***@127.0.0.1:1/0" in shown
    assert "smtp://me:***@mail" in shown
    assert "secret" not in shown
