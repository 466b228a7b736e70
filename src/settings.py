"""The settings: everything that is chosen by configuration, from `CUELINE_*` variables."""

from __future__ import annotations

import logging
import os
import re
import socket
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cueline.domain.duration import duration
from cueline.domain.errors import InvalidInput
from cueline.domain.identifiers import check_name


class Role(StrEnum):
    """What a process does. Any number of processes may have any role."""

    API = "api"
    WORKER = "worker"
    DISPATCHER = "dispatcher"
    SCHEDULER = "scheduler"


SCHEMES = {
    "memory": "memory",
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "redis": "redis",
    "rediss": "redis",
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
}
"""Which adapter a URL selects."""

STORES = ("sqlite", "memory", "postgres")
BROKERS = {
    "memory": ("memory", "redis", "rabbitmq"),
    "sqlite": ("sqlite", "memory", "redis", "rabbitmq"),
    "postgres": ("postgres", "memory", "redis", "rabbitmq"),
}
"""Which brokers go with which store."""

URLS = {
    "memory": "memory://",
    "sqlite": "sqlite:///path/to/file.db",
    "postgres": "postgresql://user@host/database",
    "redis": "redis://host",
    "rabbitmq": "amqp://user@host",
}
"""What the URLs look like."""

LONGEST_NAMESPACE = 40

THE_STORE = "store"
"""The broker setting that stands for a broker on the store itself."""


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _span(value: Any) -> Any:
    with suppress(TypeError, ValueError):  # a variable is text, even if it holds a number
        value = float(value)
    try:
        return duration(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Span = Annotated[timedelta, BeforeValidator(_span)]


class Settings(BaseSettings):
    """What selects and tunes. A bare number of time counts seconds."""

    model_config = SettingsConfigDict(env_prefix="CUELINE_", frozen=True, extra="forbid")

    store: str = Field("sqlite:///cueline.db", description="where everything is kept")
    broker: str = Field(THE_STORE, description="what carries the hints; `store` for the store")
    namespace: str = Field(
        "cueline", description="what our names in a shared broker begin with; one for each store"
    )
    store_connections: int = Field(
        10, ge=1, le=1000, description="connections to PostgreSQL for each of its three purposes"
    )
    app: str | None = Field(None, description="the application to load, as module:attribute")
    roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_listed)] = Field(
        tuple(Role), description="what this process does"
    )
    host: str = Field("127.0.0.1", description="where the API listens")
    port: int = Field(8000, ge=0, le=65535, description="on which port; 0 for any that is free")
    max_body: int = Field(1_000_000, ge=1000, description="largest request body, in bytes")
    queues: Listed = Field((), description="queues to serve; empty for the application's own")
    concurrency: int = Field(50, ge=1, le=10_000, description="tasks at once in this process")
    lease: Span = Field(timedelta(seconds=15), description="how long a silent worker is trusted")
    grace: Span = Field(timedelta(seconds=30), description="time to finish when stopping")
    worker_name: str = Field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}",
        max_length=200,
        description="what listings call this worker; its host and process unless given",
    )
    smtp: str | None = Field(None, description="mail server, as smtp://[user:password@]host:port")
    mail_from: str = Field("cueline@localhost", description="who mails are from")
    log_level: str = Field("INFO", description="what is logged: DEBUG, INFO, WARNING or ERROR")

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, value: str) -> str:
        kind = kind_of(value)
        if kind not in STORES:
            raise ValueError(
                f"{without_password(value)!r} selects no store; "
                f"use {URLS['sqlite']}, {URLS['postgres']} or {URLS['memory']}"
            )
        if kind == "sqlite":
            _, slashes, path = value.partition("sqlite:///")
            if not slashes or not path:
                raise ValueError("name the file after three slashes, as in sqlite:///cueline.db")
            if path == ":memory:":  # each connection would get a database of its own
                raise ValueError("sqlite:///:memory: cannot be shared; use memory://")
        return value

    @field_validator("namespace")
    @classmethod
    def _namespace_is_a_name(cls, value: str) -> str:
        if len(value) > LONGEST_NAMESPACE or check_name(value, "namespace"):
            raise ValueError(
                f"{value!r} cannot be a namespace: use a letter, then letters, digits, '_', '-' "
                f"or '.', {LONGEST_NAMESPACE} at most"
            )
        return value

    @field_validator("queues")
    @classmethod
    def _queues_have_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if problem := check_name(name, "queue"):
                raise ValueError(problem.message)
        return value

    @field_validator("log_level")
    @classmethod
    def _log_level_is_known(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"{value!r} is no level; use DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("lease")
    @classmethod
    def _lease_is_long_enough(cls, value: timedelta) -> timedelta:
        if value < timedelta(seconds=1):
            raise ValueError("use 1s at least, or a busy moment would cost a worker its tasks")
        return value

    @model_validator(mode="after")
    def _broker_goes_with_store(self) -> Settings:
        known = BROKERS[self.store_kind]
        if self.broker_kind not in known:
            choices = ", ".join(URLS[kind] for kind in known if kind != self.store_kind)
            raise ValueError(
                f"broker {without_password(self.broker)!r} does not go with store "
                f"{without_password(self.store)!r}; use {THE_STORE} or {choices}"
            )
        is_on_store = self.broker_kind in ("sqlite", "postgres")
        if is_on_store and self.broker not in (THE_STORE, self.store):
            raise ValueError(f"the broker in a database is in the store's own: use {THE_STORE}")
        return self

    @property
    def store_kind(self) -> str:
        """Which store is selected."""
        return kind_of(self.store)

    @property
    def broker_kind(self) -> str:
        """Which broker is selected."""
        return self.store_kind if self.broker == THE_STORE else kind_of(self.broker)

    @property
    def bus_kind(self) -> str:
        """Which event bus is selected: that of the broker, or of the store, or of this process."""
        if self.broker_kind in ("redis", "rabbitmq"):
            return self.broker_kind
        return "postgres" if self.store_kind == "postgres" else "memory"

    @property
    def mail_kind(self) -> str:
        """Which mailer is selected: `smtp`, or `none` while no server is named."""
        return "smtp" if self.smtp else "none"

    @property
    def sqlite_path(self) -> Path:
        """The file of a SQLite store: `sqlite:///relative` or `sqlite:////absolute`."""
        return Path(self.store.removeprefix("sqlite:///"))


def kind_of(url: str) -> str:
    """The adapter that a URL selects; empty if it selects none."""
    return SCHEMES.get(urlsplit(url).scheme, "")


def without_password(url: str) -> str:
    """A URL that may be shown."""
    return _PASSWORD.sub(r"\1\3***\2", url)


_PASSWORD = re.compile(r"(//[^/:@]*:)[^/]*(@)|([?&]password=)[^&]*")
