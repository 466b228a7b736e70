"""The store and the broker of a process, with a failpoint on both sides of what they do.

They are put around the real adapters in the container, from here alone: no line of Cueline knows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, cast

from dependency_injector import providers

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.container import Container
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.sql.unit_of_work import SqlUnitOfWork
from tests.integration.failpoints.changes import Changes, NotingRepository
from tests.integration.failpoints.points import Fuse, When

REPOSITORIES = {"tasks", "runs", "workflows", "definitions", "queues", "workers", "journal"}


def watch(container: Container, fuse: Fuse, life: str) -> None:
    """Put failpoints into a container, before anything in it is opened."""
    store = cast("SqliteStore | PostgresStore", container.store())
    broker = container.broker()
    watch_broker_on(store, fuse)
    container.store.override(providers.Object(WatchedStore(store, fuse, life)))
    container.broker.override(providers.Object(WatchedBroker(broker, fuse)))


class WatchedStore:
    """A store whose commits are failpoints."""

    def __init__(self, inner: SqliteStore | PostgresStore, fuse: Fuse, life: str) -> None:
        self._inner = inner
        self._fuse = fuse
        self._life = life

    def write(self, *, durable: bool = True) -> WatchedUnitOfWork:
        inner = cast("SqlUnitOfWork", self._inner.write(durable=durable))
        return WatchedUnitOfWork(inner, self._fuse, Changes(self._life))

    def at_once(self) -> WatchedUnitOfWork:
        """A transaction, so that what it changes is noted with it; SIGKILL knows no difference."""
        return self.write()

    def optimistic(self) -> WatchedUnitOfWork:
        """As `at_once`: what is one statement is one transaction with more around it here."""
        return self.write()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WatchedUnitOfWork:
    """A unit of work that writes. What it has changed is noted with it and names its failpoints."""

    def __init__(self, inner: SqlUnitOfWork, fuse: Fuse, changes: Changes) -> None:
        self._inner = inner
        self._fuse = fuse
        self._changes = changes

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc, traceback)

    async def commit(self) -> None:
        facts = self._changes.facts
        await self._changes.note(self._inner.session)
        self._fuse.pass_by(When.BEFORE, "commit", facts)
        await self._inner.commit()
        self._fuse.pass_by(When.AFTER, "commit", facts)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return NotingRepository(name, found, self._changes) if name in REPOSITORIES else found


class WatchedBroker:
    """A broker whose every way of moving a message is a failpoint."""

    def __init__(self, inner: Broker, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    async def publish(self, messages: Sequence[Message]) -> None:
        self._fuse.pass_by(When.BEFORE, "publish")
        await self._inner.publish(messages)
        self._fuse.pass_by(When.AFTER, "publish")

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        self._fuse.pass_by(When.BEFORE, "receive")
        received = await self._inner.receive(queues, limit, wait)
        if received:
            self._fuse.pass_by(When.AFTER, "receive")
        return received

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._fuse.pass_by(When.BEFORE, "acknowledge")
        await self._inner.acknowledge(deliveries)
        self._fuse.pass_by(When.AFTER, "acknowledge")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watch_broker_on(store: SqliteStore | PostgresStore, fuse: Fuse) -> None:
    """Make failpoints of the transactions that a broker has on the store, beside units of work."""
    plain = store.session

    @asynccontextmanager
    async def session(*, writing: bool = True) -> AsyncIterator[Session]:
        async with plain(writing=writing) as inner:
            yield inner
            if writing:
                fuse.pass_by(When.BEFORE, "commit of messages")
        if writing:
            fuse.pass_by(When.AFTER, "commit of messages")

    store.session = session  # type: ignore[method-assign]
