"""Simulated processes: the real application and its loops, which can be killed and frozen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from dependency_injector import providers

from cueline.application.application import Application
from cueline.application.context import Integrations
from cueline.application.ports.metrics import Exposition, Metrics
from cueline.container import Container
from cueline.domain.errors import Unavailable
from cueline.infrastructure.memory.events import MemoryEventBus
from cueline.interfaces.worker.loops import dispatch_forever, maintain_forever
from cueline.interfaces.worker.worker import WorkerLoop, WorkerOptions
from cueline.settings import Settings
from tests.simulation.broker import BrokerConnection
from tests.simulation.clocks import HostClock
from tests.simulation.connection import StoreConnection
from tests.simulation.handlers import DEFINITIONS, SimulatedExecutor
from tests.simulation.loop import HOST
from tests.simulation.randomness import SeededChance
from tests.simulation.surroundings import Surroundings

T = TypeVar("T")

USUAL_DELAYS = (2000, 1000, 20)
"""How many calls would fit in a second: most are quick, some take long enough to meet others."""

SERVER_PATIENCE = 8.0
"""After how many seconds the database ends the transactions of a client that says nothing."""

CONTAINER = Container(
    settings=Settings(store="memory://", broker="memory://"), definitions=DEFINITIONS, handlers={}
)
"""One for all processes, as making one takes longer than a whole simulated minute."""


SILENCE = 0.25
"""How often it is looked whether a server answers again, in seconds."""


class Killed(BaseException):
    """Raised wherever a dead process reaches for the world."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a process does, as its plan has it."""

    queues: tuple[str, ...]
    slots: int
    dispatches: bool = True


@dataclass(slots=True)
class Ambush:
    """What befalls a process when it comes to a certain call for the n-th time."""

    call: str
    left: int
    strike: Callable[[], None]


class Line:
    """The way from a process to a server: slow, cut at times, and sometimes there is no answer."""

    def __init__(self, process: Process, server: str) -> None:
        self._process = process
        self._server = server
        self._random = process.world.streams[f"{process.name} {server}"]
        self.is_cut = False
        self.is_silent = False
        self.journeys = 0

    async def travel(self, what: str) -> None:
        """Take a while; raise `Unavailable` if the way is cut, and `Killed` in a dead process."""
        world, random = self._process.world, self._random
        self._process.require_alive()
        self.journeys += 1
        odds = world.odds
        if self.is_cut:
            await asyncio.sleep(random.uniform(0.001, 0.5))
            self._process.require_alive()
            raise Unavailable(f"the {self._server}", "the way is cut")
        delay = random.expovariate(random.choice(USUAL_DELAYS))
        if odds.slow and random.random() < odds.slow:
            world.count(f"slow {self._server}")
            delay += random.uniform(0, odds.slowest)
        await world.loop.passing(delay)
        while self.is_silent:
            await asyncio.sleep(SILENCE)
            if not self.is_silent:
                raise Unavailable(f"the {self._server}", f"it never answered {what}")
        self._process.require_alive()
        self._process.comes_to(what)
        if odds.lost and random.random() < odds.lost:
            world.count(f"lost {self._server} call")
            raise Unavailable(f"the {self._server}", f"{what} was lost")

    def breaks(self, what: str) -> bool:
        """Whether this call is one of those that fail."""
        odds = self._process.world.odds
        if not odds.broken_commit or self._random.random() >= odds.broken_commit / 2:
            return False
        self.count(f"broken {what}")
        return True

    def count(self, fault: str) -> None:
        """Note that a fault was injected."""
        self._process.world.count(fault)


class Process:
    """One life of a process on a host: from its start to its end, or its death."""

    def __init__(self, world: Surroundings, name: str, clock: HostClock, role: Role) -> None:
        self.world = world
        self.name = name
        self.clock = clock
        self.role = role
        self.is_dead = False
        self.is_frozen = False
        self.ambushes: list[Ambush] = []
        self.held_back: list[asyncio.Handle] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.to_store = Line(self, "store")
        self.to_broker = Line(self, "broker")
        self.store = StoreConnection(world.database, self.to_store)
        self.app = self._application()
        self._stop = asyncio.Event()
        self._main = self.begin(self._run())

    def begin(self, coroutine: Any) -> asyncio.Task[Any]:
        """Run something in this process."""
        context = Context()
        context.run(HOST.set, self)
        task: asyncio.Task[Any] = self.world.loop.create_task(coroutine, context=context)
        return task

    def require_alive(self) -> None:
        """Raise `Killed` in a process that is dead."""
        if self.is_dead:
            raise Killed

    def comes_to(self, call: str) -> None:
        """Let happen what lies in wait for the process at this call."""
        for ambush in [each for each in self.ambushes if each.call == call]:
            ambush.left -= 1
            if not ambush.left:
                self.ambushes.remove(ambush)
                ambush.strike()
        self.require_alive()

    async def ask(
        self, request: Callable[[Application], Awaitable[T]], patience: float | None = None
    ) -> T | None:
        """What the process answers, as its API would; None if it died over it.

        A caller who loses patience (in seconds) breaks it off, at whatever await it has come to.
        """
        task = self.begin(_asked(request, self.app))
        await asyncio.wait([task], timeout=patience)
        if not task.done():
            self.world.count("request given up")
            task.cancel()
            await asyncio.wait([task])
        if task.cancelled() or (task.exception() is not None and self.is_dead):
            return None  # the dead tell nobody how their last request ended
        return None if self.is_dead else cast("T", task.result())

    def stop(self) -> None:
        """Have it end in order."""
        self._stop.set()

    def freeze(self) -> None:
        """As SIGSTOP does. The database gives up on its open transactions after a while."""
        self.is_frozen = True
        self.server_gives_up()

    def thaw(self) -> None:
        """As SIGCONT does."""
        if self.is_frozen:
            self.world.loop.thaw(self)

    def die(self) -> None:
        """As of SIGKILL: what it did not commit has not happened."""
        self.is_dead = True
        self.store.cut()
        self.thaw()

    async def kill(self) -> None:
        """Send it SIGKILL, and leave nothing of it behind."""
        self.die()
        while self.tasks:  # they cannot do anything any more, but must not be left lying about
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end in order."""
        return self._stop.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether it is dead, or has ended in order."""
        return self.is_dead or self._main.done()

    def server_gives_up(self) -> None:
        """After a while the database ends the transactions of a client that says nothing more."""
        self.world.loop.outside(SERVER_PATIENCE, self._cut_if_mute)

    def _cut_if_mute(self) -> None:
        if self.is_frozen or self.to_store.is_silent:
            self.store.cut()

    async def _run(self) -> None:
        while True:
            try:
                await self.app.catalogue.register()
                break
            except Unavailable:
                await asyncio.sleep(1.0)
        loops = [asyncio.create_task(maintain_forever(self.app))]
        if self.role.dispatches:
            loops.append(asyncio.create_task(dispatch_forever(self.app)))
        options = WorkerOptions(
            self.name, self.role.queues, self.role.slots, grace=timedelta(seconds=3)
        )
        await WorkerLoop(self.app, options).run(self._stop)
        for loop in loops:
            loop.cancel()

    def _application(self) -> Application:
        world = self.world
        messages = world.streams[f"{self.name} messages"]
        broker = BrokerConnection(
            world.broker,
            self.to_broker,
            world.message_odds,
            messages,
            world.loop,
            world.chronicle,
        )
        adapters = {
            "store": self.store,
            "broker": broker,
            "bus": MemoryEventBus(),
            "clock": self.clock,
            "ids": world.ids,
            "chance": SeededChance(world.streams[f"{self.name} jitter"]),
            "metrics": NoMetrics(),
            "executor": SimulatedExecutor(
                self.name, self.role.slots, world.executions, self.require_alive
            ),
            "integrations": cast("Integrations", None),
        }
        CONTAINER.reset_singletons()
        for name, adapter in adapters.items():
            provider: providers.Provider[object] = getattr(CONTAINER, name)
            provider.override(providers.Object(adapter))
        application: Application = CONTAINER.application()
        # A set of objects comes in the order of their addresses, which no seed decides.
        CONTAINER.link()._under_way = cast("set[asyncio.Timeout]", _InOrder())
        for name in adapters:
            getattr(CONTAINER, name).reset_override()
        return application


async def _asked(request: Callable[[Application], Awaitable[T]], application: Application) -> T:
    return await request(application)


class _InOrder(dict[object, None]):
    """As much of a set as the broker link uses, in the order in which things were added."""

    def add(self, item: object) -> None:
        self[item] = None

    def discard(self, item: object) -> None:
        self.pop(item, None)


class NoMetrics(Metrics):
    """Counts nothing."""

    def broker_answers(self, answers: bool) -> None: ...

    def hints_refused(self, reason: str, count: int = 1) -> None: ...

    def taken_from_store(self, count: int) -> None: ...

    def expose(self) -> Exposition:
        return Exposition("text/plain", b"")
