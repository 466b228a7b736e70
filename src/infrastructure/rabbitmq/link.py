"""The connection to the server, made anew whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar, cast

from aio_pika import connect
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq import Channel

from cueline.domain.errors import Unavailable
from cueline.infrastructure.retrying import retrying

log = logging.getLogger(__name__)

ANSWER_WITHIN = 3.0
"""How long the server may take to answer before the connection is given up, in seconds."""

HANG_UP_WITHIN = 5.0
"""How long a connection may take to close in good order, in seconds."""

HEARTBEAT = "heartbeat=10"
"""Seconds between signs of life, unless the address says otherwise. A server is given up after
three of them without any."""


class Session(Protocol):
    """What an adapter has for as long as one connection lasts."""

    def end(self) -> None:
        """Wake whoever waits: the connection is gone."""
        ...


S = TypeVar("S", bound=Session)
T = TypeVar("T")


class Link(Generic[S]):
    """Keeps one connection, and on it a session, for as long as it is open.

    One task connects, waits until the connection is lost, and connects again. A connection is never
    repaired: whatever goes wrong on it, a new one with a new session takes its place.
    `begin` makes a session; it is given the connection, and what to call when it cannot go on.
    """

    def __init__(
        self,
        url: str,
        name: str,
        begin: Callable[[AbstractConnection, Callable[[], None]], Awaitable[S]],
    ) -> None:
        self._url = url if "heartbeat=" in url else f"{url}{'&' if '?' in url else '?'}{HEARTBEAT}"
        self._name = name
        self._begin = begin
        self._session: S | None = None
        self._lost = asyncio.Event()
        self._why = "it is not open"
        self._keeper: asyncio.Task[None] | None = None
        self._asked: set[asyncio.Task[object]] = set()
        self._hanging_up: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin, and wait for the first attempt to connect, however it turns out."""
        if self._keeper is not None:
            return
        tried = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(tried), name=f"connection: {self._name}")
        await tried.wait()

    async def close(self) -> None:
        """End; closing twice is closing once."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        self._why = "it is closed"
        keeper.cancel()
        await asyncio.wait([keeper])
        if ending := self._asked | self._hanging_up:
            await asyncio.wait(ending)

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed; a connection there may be or not."""
        return self._keeper is not None

    @property
    def session(self) -> S:
        """The present session; `Unavailable` while there is none."""
        if self._session is None:
            raise Unavailable("the broker", self._why)
        return self._session

    async def ask(self, work: Callable[[S], Coroutine[object, object, T]]) -> T:
        """Have the session do something that takes an answer of the server.

        `Unavailable` if the answer fails to come. The work goes on when the caller is cancelled:
        a request that is broken off would close its channel.
        """
        session, lost = self.session, self._lost

        async def answered() -> T:
            try:
                async with _answering():
                    return await work(session)
            except Unavailable as error:
                if isinstance(error.__cause__, TimeoutError):
                    lost.set()
                raise

        task = asyncio.create_task(answered())
        self._asked.add(task)
        task.add_done_callback(self._forget)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.cancelled() or _is_being_cancelled():
                raise
            raise Unavailable("the broker", "the connection was lost") from error

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone: then it interests nobody

    async def _keep(self, tried: asyncio.Event) -> None:
        while True:
            lost = asyncio.Event()
            async for attempt in retrying(
                f"connect to RabbitMQ as {self._name!r}", when=_any, within=None
            ):
                with attempt:
                    connection = await self._connect(lost, tried)
            try:
                await lost.wait()
            finally:
                self._end(connection)
            log.warning("the connection of %r to RabbitMQ was lost", self._name)

    async def _connect(self, lost: asyncio.Event, tried: asyncio.Event) -> AbstractConnection:
        connection: AbstractConnection | None = None
        try:
            async with _answering():
                connection = await connect(
                    self._url, client_properties={"connection_name": self._name}
                )
                connection.close_callbacks.add(lambda *_: lost.set())
                session = await self._begin(connection, lost.set)
        except BaseException as error:
            if connection is not None:
                self._hang_up(connection)
            if isinstance(error, Unavailable):
                self._why = "it cannot be reached"
            raise
        finally:
            tried.set()
        self._session, self._lost = session, lost
        return connection

    def _end(self, connection: AbstractConnection) -> None:
        session, self._session = self._session, None
        if self.is_open:
            self._why = "the connection was lost"
        if session is not None:
            session.end()
        for task in self._asked:  # aiormq leaves those waiting who are about to send
            task.cancel()
        self._hang_up(connection)

    def _hang_up(self, connection: AbstractConnection) -> None:
        """Close a connection, whoever is cancelled meanwhile; `close` waits for it."""
        task = asyncio.create_task(_hang_up(connection))
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Turn every way in which the server fails to answer into `Unavailable`."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            yield
    except TimeoutError as error:
        raise Unavailable("the broker", "it took too long") from error
    except asyncio.CancelledError as error:  # aiormq cancels whoever waits on a lost connection
        if _is_being_cancelled():
            raise
        raise Unavailable("the broker", "the connection was lost") from error
    except CONNECTION_EXCEPTIONS as error:
        raise Unavailable("the broker", f"{type(error).__name__} {error}") from error


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _hang_up(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(HANG_UP_WITHIN):
            await connection.close()
    except CONNECTION_EXCEPTIONS as error:
        log.debug("a connection to RabbitMQ was not closed in good order: %r", error)


def _any(error: BaseException) -> bool:
    """Whatever keeps us from connecting may pass: a password can be mended on the server too."""
    return isinstance(error, Exception)


async def open_channel(
    connection: AbstractConnection, lost: Callable[[], None], *, confirms: bool
) -> Channel:
    """Open a channel whose end is the end of the session."""
    channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    await channel.initialize()
    channel.close_callbacks.add(lambda *_: lost())
    return await underlay_of(channel)


async def underlay_of(channel: AbstractChannel) -> Channel:
    """The channel beneath that of aio-pika, which answers many messages at once.

    Its abstract class is all that aio-pika promises; it leaves out that a publish need not wait for
    the socket.
    """
    return cast(Channel, await channel.get_underlay_channel())
