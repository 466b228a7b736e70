"""The settings: everything that is chosen by configuration, from `CUELINE_*` variables."""

from __future__ import annotations

import logging
import os
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


STORES = ("sqlite", "memory")
BROKERS = {"sqlite": ("sqlite", "memory"), "memory": ("memory",)}
"""Which brokers go with which store."""

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
    app: str | None = Field(None, description="the application to load, as module:attribute")
    roles: Annotated[tuple[Role, ...], NoDecode, BeforeValidator(_listed)] = tuple(Role)
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    max_body: int = Field(1_000_000, ge=1000, description="largest request body, in bytes")
    queues: Listed = Field((), description="queues to serve; empty for the application's own")
    concurrency: int = Field(50, ge=1, le=10_000, description="tasks at once in this process")
    lease: Span = Field(timedelta(seconds=15), description="how long a silent worker is trusted")
    grace: Span = Field(timedelta(seconds=30), description="time to finish when stopping")
    worker_name: str = Field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}", max_length=200
    )
    smtp: str | None = Field(None, description="mail server, as smtp://[user:password@]host:port")
    mail_from: str = "cueline@localhost"
    log_level: str = "INFO"

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, value: str) -> str:
        if scheme_of(value) not in STORES:
            raise ValueError(
                f"{value!r} selects no store; use sqlite:///path/to/file.db or memory://"
            )
        if scheme_of(value) == "sqlite":
            _, slashes, path = value.partition("sqlite:///")
            if not slashes or not path:
                raise ValueError("name the file after three slashes, as in sqlite:///cueline.db")
            if path == ":memory:":  # each connection would get a database of its own
                raise ValueError("sqlite:///:memory: cannot be shared; use memory://")
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
            choices = ", ".join(f"{kind}://" for kind in known if kind != self.store_kind)
            raise ValueError(
                f"broker {self.broker!r} does not go with store {self.store!r}; "
                f"use {THE_STORE}" + (f" or {choices}" if choices else "")
            )
        if self.broker_kind == "sqlite" and self.broker not in (THE_STORE, self.store):
            raise ValueError(f"the broker on SQLite is on the store's own file: use {THE_STORE}")
        return self

    @property
    def store_kind(self) -> str:
        """Which store is selected."""
        return scheme_of(self.store)

    @property
    def broker_kind(self) -> str:
        """Which broker is selected."""
        return self.store_kind if self.broker == THE_STORE else scheme_of(self.broker)

    @property
    def mail_kind(self) -> str:
        """Which mailer is selected: `smtp`, or `none` while no server is named."""
        return "smtp" if self.smtp else "none"

    @property
    def sqlite_path(self) -> Path:
        """The file of a SQLite store: `sqlite:///relative` or `sqlite:////absolute`."""
        return Path(self.store.removeprefix("sqlite:///"))


def scheme_of(url: str) -> str:
    """The part of a URL that selects the adapter."""
    return urlsplit(url).scheme
