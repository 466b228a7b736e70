"""A broker on Redis."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.application.sparing import SparingWarning
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.redis.keys import Keys
from cueline.infrastructure.redis.listener import Listener
from cueline.infrastructure.redis.receivers import Receivers
from cueline.infrastructure.redis.script import Script, batch
from cueline.infrastructure.redis.server import Server
from cueline.infrastructure.redis.tags import read

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

REDELIVERY = timedelta(seconds=30)
HORIZON = 10
"""What is held for longer than so many times the redelivery is not held by one of ours."""

LONGEST_NAP = 1.0
"""How long a receiver sleeps before it looks for messages that are due again, in seconds."""


class RedisBroker(Broker):
    """Hints in sorted sets: what waits, by age; what is taken, by when it is due again.

    Every operation is one round trip, however many messages there are. A hint is in a set once:
    publishing it again while it waits changes nothing. Receivers sleep until a publish
    into an empty queue wakes them, over one connection for all of this process; they also look
    about every second, for what came back and for wake-ups that were lost.
    """

    capabilities = BrokerCapabilities(Reach.NETWORK, outlives_server=False)

    def __init__(
        self,
        url: str,
        namespace: str,
        clock: Clock,
        metrics: Metrics,
        redelivery: timedelta = REDELIVERY,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._redelivery = redelivery
        self._keys = Keys(namespace)
        self._publish, self._take, self._mend = Script("publish"), Script("take"), Script("mend")
        self._receivers = Receivers()
        self._server = Server(url, namespace, "the broker", self._note)
        self._listener = Listener(
            self._server, self._keys.wake_ups, self._wake, self._receivers.call_all
        )
        self._under_way: set[asyncio.Task[Any]] = set()
        self._refused = SparingWarning(log, "things on Redis dropped that are no messages of ours")
        self._turn = 0
        self._closed = False

    async def open(self) -> None:
        self._closed = False
        await self._server.open()

    async def close(self) -> None:
        self._closed = True
        self._receivers.call_all()
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._listener.close()
        await self._server.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        hints: dict[tuple[str, Priority], list[bytes]] = {}
        for message in messages:
            hints.setdefault((message.queue, message.priority), []).append(encode(message))
        keys = [self._keys.ages, *(self._keys.waiting(*place) for place in hints)]
        arguments: list[str | bytes | int] = [self._keys.wake_ups]
        for (queue, _), some in hints.items():
            arguments += [queue, len(some), *some]
        await self._ask(
            partial(self._publish, keys=keys, arguments=arguments), {queue for queue, _ in hints}
        )

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        if not queues or limit <= 0:
            return []
        wanted = list(dict.fromkeys(queues))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._receivers.waiting(wanted) as receiver:
            while True:
                receiver.look()
                taken = await self._take_to_the_end(wanted, limit)
                left = deadline - loop.time()
                if taken or left <= 0:
                    return taken
                self._listen()
                await receiver.nap(min(left, LONGEST_NAP))
                if self._closed:
                    return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            tags: dict[str, list[str]] = {}
            for delivery in deliveries:
                tags.setdefault(delivery.message.queue, []).append(delivery.tag)
            await self._forget(tags)

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        commands = [("ZCARD", key) for key in self._keys.of(queue)]
        taken, *waiting = await self._ask(partial(batch, commands=commands), [queue])
        depths = Counter(dict(zip(Priority, waiting, strict=True)))
        depths[Priority.CRITICAL] += taken
        return depths

    async def wipe(self) -> None:
        async def delete(redis: Redis) -> None:
            if keys := [key async for key in redis.scan_iter(self._keys.pattern, count=1000)]:
                await redis.unlink(*keys)

        await self._server.ask(delete)

    # --- taking -----------------------------------------------------------------------------------

    async def _take_to_the_end(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """Take; what a receiver has taken that gives up meanwhile is put back."""
        taking = asyncio.create_task(self._take_some(queues, limit), name="redis-take")
        self._keep(taking)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._keep(asyncio.create_task(self._put_back(taking), name="redis-put-back"))
            raise

    async def _take_some(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """What is there. Taking nothing but what cannot be believed, it tries again."""
        while True:
            self._turn = (self._turn + 1) % len(queues)  # who comes first gets the larger share
            in_turn = [*queues[self._turn :], *queues[: self._turn]]
            keys = [key for queue in in_turn for key in self._keys.of(queue)]
            now = self._clock.now()
            # Others may hold for longer than this process does. But what is held for ever is
            # forged, and would fill the window.
            moments = [
                _milliseconds(now + span)
                for span in (timedelta(), self._redelivery, HORIZON * self._redelivery)
            ]
            taken = read(
                await self._ask(
                    partial(self._take, keys=keys, arguments=[*moments, limit]), queues
                ),
                in_turn,
            )
            if taken.refused:
                with suppress(Unavailable):  # they come again, to be refused again
                    await self._forget(taken.refused)
            self._warn_of(taken.dropped + sum(map(len, taken.refused.values())))
            if taken.deliveries or not taken.refused:
                return taken.deliveries

    async def _put_back(self, taking: asyncio.Task[list[Delivery]]) -> None:
        """Have messages that nobody waits for any more be due at once."""
        with suppress(Unavailable):
            if deliveries := await taking:
                queues = {delivery.message.queue for delivery in deliveries}
                commands = [
                    ("ZADD", self._keys.taken(delivery.message.queue), "XX", 0, delivery.tag)
                    for delivery in deliveries
                ]
                wake_up = ("PUBLISH", self._keys.wake_ups, " ".join(queues))
                await self._ask(partial(batch, commands=[*commands, wake_up]), queues)

    async def _forget(self, tags: Mapping[str, Sequence[str | bytes]]) -> None:
        commands = [("ZREM", self._keys.taken(queue), *some) for queue, some in tags.items()]
        await self._ask(partial(batch, commands=commands), tags)

    # --- the rest ---------------------------------------------------------------------------------

    async def _ask(
        self, command: Callable[[Redis], Awaitable[Answer]], queues: Iterable[str]
    ) -> Answer:
        """Ask the server; if something that is not ours is under these queues' keys, without it."""

        async def mending(redis: Redis) -> Answer:
            try:
                return await command(redis)
            except ResponseError as error:
                if not _is_spoilt(error):
                    raise
            keys = [self._keys.ages, *(key for queue in queues for key in self._keys.of(queue))]
            self._warn_of(await self._mend(redis, keys))
            return await command(redis)

        return await self._server.ask(mending)

    def _warn_of(self, dropped: int) -> None:
        if dropped:
            self._refused.count(dropped)
            self._metrics.hints_refused("malformed", dropped)

    def _keep(self, work: asyncio.Task[Any]) -> None:
        """Hold on to work that goes on even if the one who asked for it gives up."""
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)

    def _note(self, answers: bool) -> None:
        self._metrics.broker_answers(answers)
        self._receivers.call_all()  # there may be something, or no point in waiting

    def _listen(self) -> None:
        """Be woken from now on. Not before: to who only publishes it is a nuisance."""
        if not self._closed:
            self._listener.open()

    def _wake(self, payload: bytes) -> None:
        self._receivers.call(payload.decode(errors="replace").split())


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _is_spoilt(error: ResponseError) -> bool:
    """Whether there is something under a key that we would never have put there."""
    return "WRONGTYPE" in str(error) or "not an integer" in str(error)
