"""The link to the broker, known to be up or away: nobody waits for a broker that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from cueline.application.ports.broker import Broker, Delivery, Message
from cueline.application.ports.metrics import Metrics
from cueline.domain.errors import Unavailable
from cueline.domain.task import DEFAULT_QUEUE, Priority

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""How long the broker may take to answer, in seconds, beyond what it was asked to wait."""

PROBE_DISTANCE = 0.25
"""How long one that is away is left alone before it is asked again, in seconds."""

LONGEST_DISTANCE = 30.0
"""How long at most, when it keeps coming back only to fail again."""

RELAPSE = 10.0
"""A failure so soon after the return, in seconds, counts as the same trouble going on."""


class BrokerLink:
    """The broker as the use cases reach it.

    The first call that fails, or takes longer than `PATIENCE`, speaks for all: calls under way are
    broken off, and those that follow are refused at once with `Unavailable`. While it is away,
    whoever asks for it has it probed in the background; so a broker that swallows what it is sent
    costs each process one wait, not one for every call.

    What goes wrong is logged once when the broker goes away, and once when it is back.
    """

    def __init__(self, broker: Broker, metrics: Metrics) -> None:
        self._broker = broker
        self._metrics = metrics
        self._away = False
        self._distance = PROBE_DISTANCE
        self._back_since = float("-inf")
        self._probe_at = 0.0
        self._probing: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Timeout] = set()
        metrics.broker_answers(True)  # until it does not

    def answers(self) -> bool:
        """Whether the broker answers, as far as is known. If it does not, it is asked again."""
        if self._away and self._probing is None and _now() >= self._probe_at:
            self._probing = asyncio.create_task(self._probe(), name="broker-probe")
        return not self._away

    async def publish(self, messages: Sequence[Message]) -> None:
        """Make messages available to receivers, as the port says."""
        async with self._answering_within(PATIENCE):
            await self._broker.publish(messages)

    async def receive(self, queues: Sequence[str], limit: int, wait: float) -> list[Delivery]:
        """Messages of these queues, as the port says. The wait ends when the broker goes away."""
        async with self._answering_within(wait + PATIENCE):
            return await self._broker.receive(queues, limit, wait)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Have the broker forget these messages."""
        async with self._answering_within(PATIENCE):
            await self._broker.acknowledge(deliveries)

    async def depths(self, queue: str) -> Mapping[Priority, int]:
        """How many messages of a queue the broker holds, by priority."""
        async with self._answering_within(PATIENCE):
            return await self._broker.depths(queue)

    async def depth(self, queue: str) -> int:
        """How many messages of a queue the broker holds."""
        return sum((await self.depths(queue)).values())

    async def close(self) -> None:
        """Stop asking whether the broker is back. Closing twice is closing once."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing

    @asynccontextmanager
    async def _answering_within(self, seconds: float) -> AsyncIterator[None]:
        """Around a call to the broker: limit it, and note if it is not answered."""
        if not self.answers():
            raise Unavailable("the broker", "it is known to be away")
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                self._under_way.add(limit)
                yield
        except (TimeoutError, Unavailable) as error:
            refused = (
                error
                if isinstance(error, Unavailable)
                else Unavailable("the broker", f"nothing came within {seconds:g} s")
            )
            if limit in self._under_way:  # else the call was broken off: it is known already
                self._under_way.discard(limit)
                self._note_away(refused)
            raise refused from None
        finally:
            self._under_way.discard(limit)

    async def _probe(self) -> None:
        """Ask for as little as possible. Whatever goes wrong, it is asked again later."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._broker.depth(DEFAULT_QUEUE)
        except (Unavailable, TimeoutError):
            pass
        except Exception:
            log.exception("the broker cannot be asked whether it is back")
        else:
            self._note_back()
        finally:
            self._probe_at = _now() + self._distance
            self._probing = None

    def _note_away(self, error: Unavailable) -> None:
        if self._away:
            return
        self._away = True
        relapsed = _now() - self._back_since < RELAPSE
        self._distance = min(2 * self._distance, LONGEST_DISTANCE) if relapsed else PROBE_DISTANCE
        self._probe_at = _now() + self._distance
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(_now())
        self._under_way.clear()
        self._metrics.broker_answers(False)
        log.warning("%s; until it is back, work goes on from the store", error)

    def _note_back(self) -> None:
        self._away = False
        self._back_since = _now()
        self._metrics.broker_answers(True)
        log.info("the broker answers again")


def _now() -> float:
    return asyncio.get_running_loop().time()
