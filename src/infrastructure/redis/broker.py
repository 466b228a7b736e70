"""A broker on Redis."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.application.sparing import SparingWarning
from cueline.domain.errors import Unavailable
from cueline.domain.task import Priority
from cueline.infrastructure.hints import encode
from cueline.infrastructure.redis.handed import Handed
from cueline.infrastructure.redis.keys import Keys
from cueline.infrastructure.redis.lines import Command, Line
from cueline.infrastructure.redis.script import Scripts
from cueline.infrastructure.redis.server import Server, is_spoilt
from cueline.infrastructure.redis.tags import age_of, due_again_of, read, tag_of
from cueline.infrastructure.redis.wait import Wait

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

REDELIVERY = timedelta(seconds=30)
HORIZON = 10
"""What is held for longer than so many times the redelivery is not held by one of ours."""

LONGEST_WAIT = 1.0
"""How long a receiver waits before it looks for messages that are due again, in seconds."""

NOTED_AFTER = 0.02
"""When the server is told who has what it handed over, unless that is acknowledged, in seconds."""


class RedisBroker(Broker):
    """Hints in sorted sets: what waits, by age; what is taken, by when it is due again.

    Publishing, looking and acknowledging are a round trip, however many messages there are. A hint
    is in a set once: publishing it again while it waits changes nothing. A receiver that finds
    nothing waits at the server, which hands it what comes; about every second it looks for what is
    due again. What a process was just handed others do not count for a moment (`NOTED_AFTER`).
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
        self._scripts = Scripts()
        self._server = Server(url, namespace, "the broker", metrics.broker_answers)
        self._handed = Handed(self._note_taken, NOTED_AFTER)
        self._waits: set[Wait] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._refused = SparingWarning(log, "things on Redis dropped that are no messages of ours")
        self._turn = 0
        self._closed = False

    async def open(self) -> None:
        self._closed = False
        await self._server.open()

    async def close(self) -> None:
        self._closed = True
        for wait in self._waits:
            self._go_on(wait.give_up())
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._handed.note_all()
        await self._server.close()

    async def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        hints: dict[tuple[str, Priority], list[bytes]] = {}
        for message in messages:
            hints.setdefault((message.queue, message.priority), []).append(encode(message))
        keys = [self._keys.ages]
        arguments: list[bytes | int] = []
        # The first that comes to one who waits is handed over: the most urgent.
        for place, some in sorted(hints.items(), key=lambda item: item[0][1]):
            keys.append(self._keys.waiting(*place))
            arguments += [len(some), *some]
        await self._ask(
            partial(self._scripts.publish, keys=keys, arguments=arguments),
            {queue for queue, _ in hints},
        )

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        if self._closed:
            raise Unavailable("the broker", "it is closed")
        if not queues or limit <= 0:
            return []
        wanted = list(dict.fromkeys(queues))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            taken = await self._for_receiver(self._take(wanted, limit))
            left = deadline - loop.time()
            if taken or left <= 0 or self._closed:
                return taken
            handed = await self._wait(wanted, limit, min(left, LONGEST_WAIT))
            if handed or self._closed:
                return handed

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        tags: dict[str, list[str]] = {}
        for delivery in await self._handed.acknowledge(deliveries):
            tags.setdefault(delivery.message.queue, []).append(delivery.tag)
        if tags:
            await self._forget(tags)

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        await self._handed.note_all()
        commands = [("ZCARD", key) for key in self._keys.of(queue)]
        taken, *waiting = await self._ask(lambda line: line.ask(*commands), [queue])
        depths = Counter(dict(zip(Priority, waiting, strict=True)))
        depths[Priority.CRITICAL] += taken
        return depths

    async def wipe(self) -> None:
        await self._handed.note_all()
        cursor = b"0"
        while True:
            [[cursor, keys]] = await self._server.tell(
                ("SCAN", cursor, "MATCH", self._keys.pattern, "COUNT", 1000)
            )
            if keys:
                await self._server.tell(("UNLINK", *keys))
            if cursor == b"0":
                return

    # --- taking -----------------------------------------------------------------------------------

    async def _take(self, queues: Sequence[str], limit: int) -> list[Delivery]:
        """What is there. Taking nothing but what cannot be believed, it tries again."""
        while True:
            in_turn = self._in_turn(queues)
            keys = [key for queue in in_turn for key in self._keys.of(queue)]
            now = self._clock.now()
            # Others may hold for longer than this process does. But what is held for ever is
            # forged, and would fill the window.
            moments = [
                _milliseconds(now + span)
                for span in (timedelta(), self._redelivery, HORIZON * self._redelivery)
            ]
            taking = partial(self._scripts.take, keys=keys, arguments=[*moments, limit])
            taken = read(await self._ask(taking, queues), in_turn)
            self._warn_of(taken.unbelievable)
            if taken.refused:
                with suppress(Unavailable):  # they come again, to be refused again
                    await self._forget(taken.refused)
            if taken.deliveries or not taken.refused:
                return taken.deliveries

    async def _wait(self, queues: Sequence[str], limit: int, seconds: float) -> list[Delivery]:
        """What comes while there is nothing."""
        places = [(queue, priority) for priority in Priority for queue in self._in_turn(queues)]
        sets = {self._keys.waiting(*place): place for place in places}
        wait = Wait(self._server, list(sets), limit, seconds)
        self._waits.add(wait)
        try:
            return await self._for_receiver(self._handed_over(wait, sets))
        except asyncio.CancelledError:
            self._go_on(wait.give_up())
            raise
        finally:
            self._waits.discard(wait)

    async def _handed_over(
        self, wait: Wait, sets: Mapping[str, tuple[str, Priority]]
    ) -> list[Delivery]:
        if (popped := await wait()) is None:
            return []
        queue, priority = sets[popped.key]
        due_again = _milliseconds(self._clock.now() + self._redelivery)
        tags = [tag_of(priority, due_again, age, hint) for hint, age in popped.members]
        taken = read((0, [(0, tags)]), [queue])
        self._warn_of(taken.unbelievable)
        self._handed.add(taken.deliveries)
        return taken.deliveries

    def _in_turn(self, queues: Sequence[str]) -> list[str]:
        """The queues, beginning with another one each time: the first gets the larger share."""
        self._turn = (self._turn + 1) % len(queues)
        return [*queues[self._turn :], *queues[: self._turn]]

    async def _for_receiver(self, getting: Coroutine[Any, Any, list[Delivery]]) -> list[Delivery]:
        """What is got; if the receiver gives up meanwhile, it is put back."""
        task = asyncio.create_task(getting, name="redis-receive")
        self._keep(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._go_on(self._put_back(task))
            raise

    async def _put_back(self, getting: asyncio.Task[list[Delivery]]) -> None:
        """Have messages that nobody waits for any more wait in their old places."""
        with suppress(Unavailable):
            deliveries = await getting
            await self._handed.acknowledge(deliveries)
            commands: list[Command] = []
            for message, tag in ((each.message, each.tag) for each in deliveries):
                waiting = self._keys.waiting(message.queue, message.priority)
                commands.append(("ZREM", self._keys.taken(message.queue), tag))
                commands.append(("ZADD", waiting, "LT", age_of(tag), encode(message)))
            if commands:
                queues = {delivery.message.queue for delivery in deliveries}
                await self._ask(lambda line: line.ask(*commands), queues)

    async def _note_taken(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the server who has what it handed over, so that it comes again if need be."""
        commands = [
            ("ZADD", self._keys.taken(each.message.queue), due_again_of(each.tag), each.tag)
            for each in deliveries
        ]
        with suppress(Unavailable):  # the store brings them up again
            queues = {each.message.queue for each in deliveries}
            await self._ask(lambda line: line.ask(*commands), queues)

    async def _forget(self, tags: Mapping[str, Sequence[str | bytes]]) -> None:
        commands = [("ZREM", self._keys.taken(queue), *some) for queue, some in tags.items()]
        await self._ask(lambda line: line.ask(*commands), tags)

    # --- the rest ---------------------------------------------------------------------------------

    async def _ask(
        self, command: Callable[[Line], Awaitable[Answer]], queues: Iterable[str]
    ) -> Answer:
        """Ask the server; if something that is not ours is under these queues' keys, without it."""

        async def mending(line: Line) -> Answer:
            try:
                return await command(line)
            except ResponseError as error:
                if not is_spoilt(error):
                    raise
            keys = [self._keys.ages, *(key for queue in queues for key in self._keys.of(queue))]
            self._warn_of(await self._scripts.mend(line, keys))
            return await command(line)

        return await self._server.ask(mending)

    def _warn_of(self, dropped: int) -> None:
        if dropped:
            self._refused.count(dropped)
            self._metrics.hints_refused("malformed", dropped)

    def _go_on(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something whoever gives up meanwhile."""
        self._keep(asyncio.create_task(work, name="redis-broker"))

    def _keep(self, work: asyncio.Task[Any]) -> None:
        """Wait for work before closing."""
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
