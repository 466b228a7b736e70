"""Every combination of settings resolves to its adapters, and nothing is opened by that."""

from __future__ import annotations

import socket
import sqlite3
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cueline.app import App
from cueline.application.application import Application
from cueline.container import Container
from cueline.domain.errors import InvalidInput
from cueline.infrastructure.events.bus import SharedEventBus
from cueline.infrastructure.mail.smtp import NoMailer, SmtpMailer
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.infrastructure.memory.store import MemoryStore
from cueline.infrastructure.rabbitmq.broker import RabbitBroker
from cueline.infrastructure.redis.broker import RedisBroker
from cueline.infrastructure.sql.postgres.broker import PostgresBroker
from cueline.infrastructure.sql.postgres.clock import DatabaseClock
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.broker import SqliteBroker
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.loading import load_settings
from cueline.settings import BROKERS, STORES, Settings

URLS = {
    "sqlite": "sqlite:///data/cueline.db",
    "memory": "memory://",
    "postgres": "postgresql://me@db.example/cueline",
    "redis": "redis://redis.example",
    "rabbitmq": "amqp://me@rabbit.example",
}
STORE_CLASSES: dict[str, type[Any]] = {
    "sqlite": SqliteStore,
    "memory": MemoryStore,
    "postgres": PostgresStore,
}
BROKER_CLASSES: dict[str, type[Any]] = {
    "sqlite": SqliteBroker,
    "memory": MemoryBroker,
    "postgres": PostgresBroker,
    "redis": RedisBroker,
    "rabbitmq": RabbitBroker,
}
BUS_CLASSES: dict[str, type[Any]] = {
    "memory": MemoryEventBus,
    "postgres": SharedEventBus,
    "redis": SharedEventBus,
    "rabbitmq": SharedEventBus,
}
MAILERS: dict[str | None, type[Any]] = {None: NoMailer, "smtp://mail.example:2525": SmtpMailer}

MET = [
    (store, broker, smtp)
    for store, smtp in product(STORES, MAILERS)
    for broker in ("store", *BROKERS[store])
]
UNMET = [
    (store, broker)
    for store, broker in product(STORES, BROKER_CLASSES)
    if broker not in BROKERS[store]
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in which nothing may be opened or reached."""

    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("resolving must do no I/O")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path


def a_container(settings: Settings) -> Container:
    app = App("shop")
    app.task(name="send")(lambda: None)
    return Container(settings=settings, definitions=app.definitions, handlers=app.handlers)


@pytest.mark.parametrize(("store", "broker", "smtp"), MET)
def test_each_combination_resolves_to_its_adapters_without_io(
    folder: Path, store: str, broker: str, smtp: str | None
) -> None:
    settings = load_settings(store=URLS[store], broker=URLS.get(broker, broker), smtp=smtp)
    container = a_container(settings)

    application = container.application()

    assert isinstance(application, Application)
    assert isinstance(container.store(), STORE_CLASSES[store])
    broker_class = BROKER_CLASSES[store if broker == "store" else broker]
    assert isinstance(container.broker(), broker_class)
    assert isinstance(container.bus(), BUS_CLASSES[settings.bus_kind])
    is_database_clock = isinstance(container.clock(), DatabaseClock)
    assert is_database_clock == (store == "postgres")
    assert len(container.listeners()) == (store == "postgres")
    assert isinstance(application.integrations.mail, MAILERS[smtp])
    assert application.executor.names == {"send"}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("store", "broker"), UNMET)
def test_a_broker_that_does_not_go_with_the_store_is_refused(store: str, broker: str) -> None:
    with pytest.raises(InvalidInput, match="does not go with store") as caught:
        load_settings(store=URLS[store], broker=URLS[broker])
    assert URLS[store] in str(caught.value)
    assert "use store" in str(caught.value)


def test_some_combination_is_unmet() -> None:
    assert set(UNMET) == {
        ("memory", "sqlite"),
        ("memory", "postgres"),
        ("sqlite", "postgres"),
        ("postgres", "sqlite"),
    }


def test_adapters_are_made_once_and_use_cases_when_asked_for() -> None:
    container = a_container(load_settings(store="memory://"))
    assert container.store() is container.store()
    assert container.outlet() is container.outlet()
    assert container.application() is container.application()
    assert container.submit() is not container.submit()


def test_the_sqlite_broker_is_on_the_file_of_the_store(folder: Path) -> None:
    container = a_container(load_settings(store=URLS["sqlite"]))
    assert container.store() is container.sqlite_store()
    assert container.sqlite_store().path == Path("data/cueline.db")


def test_two_containers_share_nothing() -> None:
    settings = load_settings(store="memory://")
    assert a_container(settings).store() is not a_container(settings).store()


def test_a_mail_address_that_cannot_be_used_is_refused() -> None:
    container = a_container(load_settings(store="memory://", smtp="http://mail.example"))
    with pytest.raises(InvalidInput, match="smtp://"):
        container.application()
