"""LISTEN and NOTIFY: how PostgreSQL tells one process what another has done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import uuid4

import asyncpg

from cueline.application.bell import Bell
from cueline.domain.errors import Unavailable
from cueline.infrastructure.retrying import retrying
from cueline.infrastructure.sql.postgres.address import PostgresAddress

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    AnyConnection: TypeAlias = Connection | PoolConnectionProxy[asyncpg.Record]

log = logging.getLogger(__name__)

LONGEST_NAME: Final = 63
"""How many bytes the name of a channel may have."""

LONGEST_PAYLOAD: Final = 7999
"""How many bytes of text a notification may carry."""

PATIENCE: Final = 5.0
"""How long the server may take for a connection or a statement, in seconds."""

CHECKING: Final = 10.0
"""How long a connection may be silent before it is asked whether it still lives, in seconds."""

OPENING: Final = 2.0
"""How long opening waits for the first connection before it goes on without, in seconds."""

PARTING: Final = 1.0
"""How long a connection may take to end, in seconds, before it is cut."""

FAILURES: Final = (
    OSError,  # which a TimeoutError is, too
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a connection fails with. All of it may pass: a server may be repaired in any respect."""


def channel_name(namespace: str, purpose: str) -> str:
    """The name of a namespace's channel; what is too long for one is shortened by a digest."""
    name = f"{namespace}.{purpose}"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"cueline.{blake2b(name.encode(), digest_size=20).hexdigest()}"


@dataclass(frozen=True, slots=True)
class _Ear:
    heard: Callable[[str], None]
    on_reconnect: Callable[[], None]


class PostgresListener:
    """Hears what is NOTIFYed on any number of channels, on one connection of its own.

    The connection is made again whenever it is lost, and asked now and then whether it lives. It
    counts as made only when it has heard itself: behind a pooler of transactions, LISTEN succeeds
    and nothing ever comes. Notifications are best effort, so none of this is an error to anybody;
    who listens must look for itself now and then.
    """

    def __init__(self, dsn: str, *, checking: float = CHECKING, patience: float = PATIENCE) -> None:
        """`dsn` is the store's URL."""
        self._address = PostgresAddress.of(dsn)
        self._checking = checking
        self._patience = patience
        self._ears: dict[str, _Ear] = {}
        self._listening: set[str] = set()  # on the present connection
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()  # a connection does one thing at a time
        self._bell = Bell()
        self._tried = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and stay connected until `close`. It returns although that may not succeed."""
        self._tried.clear()
        self._keeping = asyncio.create_task(self._keep_listening(), name="postgres-listener")
        waiting = asyncio.create_task(self._tried.wait())
        try:
            await asyncio.wait({waiting}, timeout=OPENING)
        finally:
            waiting.cancel()

    async def close(self) -> None:
        """Disconnect; closing twice is closing once."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    def listen(
        self,
        name: str,
        heard: Callable[[str], None],
        on_reconnect: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand whatever is notified on a channel to `heard`, on the loop.

        `on_reconnect` is called whenever hearing begins, the first time and after each connection:
        what was notified before is lost, so look once. A channel has one to hear it: the latest.
        """
        self._ears[name] = _Ear(heard, on_reconnect)
        self._listening.discard(name)
        self._bell.ring()

    def ignore(self, name: str) -> None:
        """Hand on nothing more from a channel."""
        self._ears.pop(name, None)
        self._bell.ring()

    async def notify(self, name: str, payload: str) -> None:
        """Notify all who listen to a channel, in a transaction of its own.

        `payload` has at most `LONGEST_PAYLOAD` bytes and no NUL. Raises `Unavailable`, at once
        while there is no connection.
        """
        connection = self._connection
        if connection is None:
            raise Unavailable("PostgreSQL", "there is no connection to notify on yet")
        try:
            async with self._turn:
                await self._listen_as_asked(connection)  # so as to hear the answers
                await connection.execute("SELECT pg_notify($1, $2)", name, payload)
        except FAILURES as error:
            if isinstance(error, TimeoutError | asyncpg.InternalClientError):
                connection.terminate()  # or whoever comes next would wait as long, or fail so, too
            raise Unavailable("PostgreSQL", str(error) or type(error).__name__) from error

    # --- keeping connected ------------------------------------------------------------------------

    async def _keep_listening(self) -> None:
        while True:
            connection = await self._connected()
            try:
                await self._stay(connection)
            except FAILURES as error:
                log.warning("the connection that listens to PostgreSQL failed: %r", error)
                connection.terminate()
            finally:
                self._connection = None
                await self._part_from(connection)

    async def _connected(self) -> Connection:
        """A connection that hears, however long it takes."""
        async for attempt in retrying("listen to PostgreSQL", when=_may_pass, within=None):
            with attempt:
                try:
                    return await self._connect()
                finally:
                    self._tried.set()
        raise AssertionError("retrying without a limit never ends")

    async def _connect(self) -> Connection:
        connection = await asyncpg.connect(
            self._address.dsn,
            timeout=self._patience,
            command_timeout=self._patience,
            statement_cache_size=self._address.statements,
        )
        try:
            connection.add_termination_listener(lambda _: self._bell.ring())
            await self._hear_itself(connection)
            self._listening.clear()
            await self._listen_as_asked(connection)
        except BaseException:
            await self._part_from(connection)
            raise
        self._connection = connection
        return connection

    async def _hear_itself(self, connection: Connection) -> None:
        probe = f"cueline.probe.{uuid4().hex}"
        heard = asyncio.Event()
        ear = lambda *_: heard.set()  # noqa: E731
        await connection.add_listener(probe, ear)
        await connection.execute("SELECT pg_notify($1, '')", probe)
        waiting = asyncio.create_task(heard.wait())
        try:
            await asyncio.wait({waiting}, timeout=self._patience)
        finally:
            waiting.cancel()
        if not heard.is_set():
            raise Unavailable(
                "PostgreSQL", "LISTEN brings nothing; is there a pooler of transactions between?"
            )
        await connection.remove_listener(probe, ear)

    async def _stay(self, connection: Connection) -> None:
        """Return when the connection is lost, raise when it fails."""
        while True:
            is_news = await self._bell.wait(self._checking)
            if connection.is_closed():
                log.warning("the connection that listens to PostgreSQL was lost")
                return
            async with self._turn:
                if is_news:
                    await self._listen_as_asked(connection)
                else:
                    await connection.execute("SELECT 1")

    async def _listen_as_asked(self, connection: Connection) -> None:
        for name in self._listening - self._ears.keys():
            await connection.remove_listener(name, self._hear)
            self._listening.discard(name)
        for name in self._ears.keys() - self._listening:
            await connection.add_listener(name, self._hear)
            self._listening.add(name)
            if (ear := self._ears.get(name)) is not None:
                ear.on_reconnect()

    def _hear(self, _: AnyConnection, __: int, name: str, payload: object) -> None:
        if (ear := self._ears.get(name)) is not None:
            ear.heard(str(payload))

    async def _part_from(self, connection: Connection) -> None:
        try:
            await connection.close(timeout=PARTING)
        except FAILURES:
            connection.terminate()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, (*FAILURES, Unavailable))
