"""The settings: what they read, and how they say what is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cueline.domain.errors import InvalidInput
from cueline.interfaces.cli.entry import ROLES
from cueline.loading import load_settings
from cueline.settings import BROKERS, STORES, Role, Settings, without_password


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CUELINE_{name.upper()}", raising=False)


def test_the_command_line_knows_the_roles() -> None:
    assert tuple(Role) == ROLES


def test_every_store_has_its_brokers() -> None:
    assert set(BROKERS) == set(STORES)


def test_without_variables_everything_runs_on_one_file() -> None:
    settings = load_settings()
    assert settings.store_kind == settings.broker_kind == "sqlite"
    assert settings.sqlite_path == Path("cueline.db")
    assert settings.roles == tuple(Role)
    assert settings.queues == ()
    assert settings.mail_kind == "none"


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("sqlite:///shop.db", "shop.db"),
        ("sqlite:///data/shop.db", "data/shop.db"),
        ("sqlite:////var/lib/shop.db", "/var/lib/shop.db"),
    ],
)
def test_three_slashes_begin_a_relative_path_and_four_an_absolute_one(
    store: str, path: str
) -> None:
    assert load_settings(store=store).sqlite_path == Path(path)


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUELINE_STORE", "memory://")
    monkeypatch.setenv("CUELINE_ROLES", "worker, dispatcher")
    monkeypatch.setenv("CUELINE_QUEUES", "mail,,reports ")
    monkeypatch.setenv("CUELINE_LEASE", "1m30s")
    monkeypatch.setenv("CUELINE_GRACE", "5")
    settings = load_settings()
    assert settings.store_kind == "memory"
    assert settings.roles == (Role.WORKER, Role.DISPATCHER)
    assert settings.queues == ("mail", "reports")
    assert settings.lease == timedelta(seconds=90)
    assert settings.grace == timedelta(seconds=5)


def test_what_is_given_goes_before_the_variable_and_none_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUELINE_PORT", "9000")
    monkeypatch.setenv("CUELINE_HOST", "0.0.0.0")
    settings = load_settings(port=9001, host=None)
    assert settings.port == 9001
    assert settings.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("given", "named", "said"),
    [
        ({"store": "nothing"}, "CUELINE_STORE", "selects no store"),
        ({"store": "mysql://host/db"}, "CUELINE_STORE", "selects no store"),
        ({"store": "redis://host"}, "CUELINE_STORE", "selects no store"),
        ({"store": "sqlite:///"}, "CUELINE_STORE", "name the file"),
        ({"store": "sqlite://shop.db"}, "CUELINE_STORE", "three slashes"),
        ({"store": "sqlite:shop.db"}, "CUELINE_STORE", "three slashes"),
        ({"store": "SQLITE:///shop.db"}, "CUELINE_STORE", "three slashes"),
        ({"store": "sqlite:///:memory:"}, "CUELINE_STORE", "use memory://"),
        ({"port": "many"}, "CUELINE_PORT", "integer"),
        ({"port": 65536}, "CUELINE_PORT", "65535"),
        ({"roles": "worker,king"}, "CUELINE_ROLES.1", "dispatcher"),
        ({"lease": "soon"}, "CUELINE_LEASE", "'soon' is not a duration"),
        ({"lease": "500ms"}, "CUELINE_LEASE", "use 1s at least"),
        ({"grace": "-1"}, "CUELINE_GRACE", "out of range"),
        ({"concurrency": 0}, "CUELINE_CONCURRENCY", "greater than or equal to 1"),
        ({"max_body": 10}, "CUELINE_MAX_BODY", "1000"),
        ({"nonsense": 1}, "CUELINE_NONSENSE", "not permitted"),
        ({"broker": "kafka://"}, "CUELINE_STORE, CUELINE_BROKER", "does not go with store"),
        ({"namespace": "a b"}, "CUELINE_NAMESPACE", "cannot be a namespace"),
        ({"namespace": "n" * 41}, "CUELINE_NAMESPACE", "40 at most"),
    ],
)
def test_a_bad_value_is_named_by_its_variable(given: dict[str, Any], named: str, said: str) -> None:
    with pytest.raises(InvalidInput, match="the settings cannot be used") as caught:
        load_settings(**given)
    [problem] = caught.value.problems
    assert problem.path == named
    assert said in problem.message


def test_a_bad_variable_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUELINE_GRACE", "forever")
    with pytest.raises(InvalidInput, match="CUELINE_GRACE"):
        load_settings()


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_settings(port="x", lease="y")
    assert {problem.path for problem in caught.value.problems} == {"CUELINE_PORT", "CUELINE_LEASE"}


@pytest.mark.parametrize(
    ("store", "broker", "kinds"),
    [
        ("sqlite:///a.db", "store", ("sqlite", "sqlite", "memory")),
        ("postgresql://host/db", "store", ("postgres", "postgres", "postgres")),
        ("postgres://host/db", "memory://", ("postgres", "memory", "postgres")),
        ("postgresql://host/db", "rediss://host", ("postgres", "redis", "redis")),
        ("sqlite:///a.db", "amqps://host", ("sqlite", "rabbitmq", "rabbitmq")),
        ("memory://", "redis://host/3", ("memory", "redis", "redis")),
    ],
)
def test_the_schemes_select_the_adapters(
    store: str, broker: str, kinds: tuple[str, str, str]
) -> None:
    settings = load_settings(store=store, broker=broker)
    assert (settings.store_kind, settings.broker_kind, settings.bus_kind) == kinds


def test_a_password_is_not_told_in_an_error() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_settings(store="postgresql://me:s3cret@host/db", broker="kafka://me:s3cret@host")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("amqp://shop:p%40ss@mq/vhost", "amqp://shop:***@mq/vhost"),
        ("amqp://shop:s@cr:t@mq/vhost", "amqp://shop:***@mq/vhost"),
        ("redis://cache/0?password=secret&a=b", "redis://cache/0?password=***&a=b"),
        ("postgresql://shop@db/cueline", "postgresql://shop@db/cueline"),
        ("postgresql://shop@db/cueline?a=b:c@d", "postgresql://shop@db/cueline?a=b:c@d"),
        ("sqlite:///data/cueline.db", "sqlite:///data/cueline.db"),
        ("store", "store"),
    ],
)
def test_urls_are_shown_without_their_passwords(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
