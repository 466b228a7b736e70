"""An event bus across processes, on any channel between them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import uuid4

from cueline.application.bell import Bell
from cueline.application.ports.capabilities import BusCapabilities
from cueline.application.ports.events import EventBus
from cueline.application.sparing import SparingWarning
from cueline.domain.errors import Unavailable
from cueline.domain.events import Event
from cueline.infrastructure.events import codec
from cueline.infrastructure.events.channel import Channel
from cueline.infrastructure.events.codec import MalformedPayload, Payload
from cueline.infrastructure.events.presence import Presence
from cueline.infrastructure.events.subscriptions import BACKLOG, Subscriptions

log = logging.getLogger(__name__)

UNSENT: Final = 10_000
"""How many events may wait for the channel before the oldest are dropped."""

AT_ONCE: Final = 500
"""How many events are encoded without a pause, so as not to hold up the loop."""

GATHERING: Final = 0.005
"""How long events gather after a sending before the next, in seconds. The first waits for none."""

IDLE: Final = 3600.0
"""How long the sender waits when there is nothing to send, in seconds; it is woken before."""

PARTING: Final = 0.5
"""How long closing waits for the last events to be sent, in seconds."""


class SharedEventBus(EventBus):
    """Spreads events within the process, and over a channel to others while these are watching.

    A bus that has subscribers says so with every payload, and at least every `announcing` seconds;
    whoever hears it holds events worth making for `patience` seconds. So other processes are heard
    from some milliseconds after `subscribe` is entered, and from a process that has only just
    started after `announcing` seconds at the latest.

    Events come to the own subscribers directly, whether or not the channel carries anything. To
    others they are sent by a task of the bus: when they come faster than the channel carries them
    the oldest are dropped, and so is what was to be sent when the channel failed. An event that is
    too large for the channel is sent without its data.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        announcing: float = 1.0,
        patience: float = 3.0,
        backlog: int = BACKLOG,
    ) -> None:
        self.capabilities = BusCapabilities(channel.reach)
        self._channel = channel
        self._id = uuid4().hex
        self._subscriptions = Subscriptions(backlog)
        self._presence = Presence(announcing, patience)
        self._unsent: deque[Event] = deque(maxlen=UNSENT)
        self._bell = Bell()
        self._sender: asyncio.Task[None] | None = None
        self._rest_after_failure = announcing
        self._is_carried = True
        self._is_closing = False
        self._refused = SparingWarning(log, "payloads ignored that are no events of ours")
        self._overrun = SparingWarning(log, "events dropped that came too fast for the channel")
        self._unsendable = SparingWarning(log, "events dropped that the channel cannot carry")

    async def open(self) -> None:
        self._is_closing = False
        await self._channel.open(self._receive)
        self._sender = asyncio.create_task(self._send_forever(), name="events")

    async def close(self) -> None:
        self._is_closing = True
        self._subscriptions.end()
        if self._sender is not None:
            self._bell.ring()
            await asyncio.wait({self._sender}, timeout=PARTING if self._is_carried else 0)
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
            self._sender = None
        await self._channel.close()

    # --- what the process asks for ----------------------------------------------------------------

    @property
    def is_watched(self) -> bool:
        return bool(self._subscriptions) or self._presence.is_elsewhere

    async def publish(self, events: Sequence[Event]) -> None:
        self._subscriptions.spread(events)
        if events and self._presence.is_elsewhere:
            overrun = len(self._unsent) + len(events) - UNSENT
            if overrun > 0:
                self._overrun.count(overrun)
            self._unsent.extend(events)
            self._bell.ring()

    def subscribe(self, ids: Sequence[str]) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        return self._subscribed(ids)

    @asynccontextmanager
    async def _subscribed(self, ids: Sequence[str]) -> AsyncIterator[AsyncIterator[Event]]:
        with self._subscriptions.following(ids) as events:
            self._bell.ring()
            yield events

    # --- what comes from other processes ----------------------------------------------------------

    def _receive(self, payload: bytes) -> None:
        try:
            told = Payload.decode(payload)
            if told.sender == self._id:
                return
            if told.is_watching:
                self._presence.heard()
            if self._subscriptions:
                self._subscriptions.spread(told.events(about=self._subscriptions))
        except MalformedPayload as error:
            self._refused.count(why=error)

    # --- what goes to them ------------------------------------------------------------------------

    async def _send_forever(self) -> None:
        """Send what there is, let more gather, and so on, until the bus closes and all is sent."""
        while not self._is_closing or self._unsent:
            await self._bell.wait(self._presence.until_due() if self._subscriptions else IDLE)
            await self._send()
            if self._unsent:
                self._bell.ring()
            if not self._is_closing:
                await asyncio.sleep(GATHERING if self._is_carried else self._rest_after_failure)

    async def _send(self) -> None:
        events = [self._unsent.popleft() for _ in range(min(AT_ONCE, len(self._unsent)))]
        try:
            for body in codec.packed(self._encoded(events), self._channel.largest):
                await self._tell(body)
            if self._subscriptions and not self._presence.until_due():
                await self._tell(codec.NO_EVENTS)
        except Exception as error:  # noqa: BLE001  # one that is no Unavailable must not end it all
            self._note(error)

    async def _tell(self, body: bytes) -> None:
        is_watching = bool(self._subscriptions)
        await self._channel.send(Payload(self._id, is_watching, body).encode())
        if is_watching:
            self._presence.announced()
        self._note(None)

    def _encoded(self, events: Sequence[Event]) -> Iterator[bytes]:
        """The events as the channel can carry them."""
        largest = codec.room(self._channel.largest)
        for event in events:
            try:
                yield codec.encode_event(event, largest)
            except ValueError as error:
                self._unsendable.count(why=error)

    def _note(self, failure: Exception | None) -> None:
        """Note whether the channel carries, and say so when that has changed."""
        if failure is not None and self._is_carried:
            known = isinstance(failure, Unavailable)
            log.warning(
                "events do not reach other processes: %s",
                failure,
                exc_info=None if known else failure,
            )
        elif failure is None and not self._is_carried:
            log.info("events reach other processes again")
        self._is_carried = failure is None
