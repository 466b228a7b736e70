"""The kinds of happenings, each registered once: how it is drawn and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from cueline.domain.json import Json
from tests.simulation.plan import Happening
from tests.simulation.world import World

Args: TypeAlias = dict[str, Json]

CROWDING = 0.7
"""The share of what happens near the crowded moments, in a world that has some."""


@dataclass(slots=True)
class Sketch:
    """A plan while it is drawn: what later happenings may refer to."""

    random: Random
    horizon: float
    hosts: list[str]
    clocks_jump: bool
    crowded: Sequence[float] = ()
    tasks: dict[str, float] = field(default_factory=dict)  # when each is submitted, by label
    runs: dict[str, float] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)

    def moment(self) -> float:
        """Any time before the horizon, rather near a moment when much happens at once."""
        if self.crowded and self.random.random() < CROWDING:
            moment = self.random.choice(self.crowded) + self.random.expovariate(4)
        else:
            moment = self.random.uniform(0, self.horizon)
        return round(moment, 3)

    def after(self, moment: float) -> float:
        """Some time after another, soon rather than late, or at once."""
        return round(moment + self.random.expovariate(self.random.choice((1 / 3, 3, 50))), 3)

    def host(self) -> str:
        """Any host."""
        return self.random.choice(self.hosts)


Draw: TypeAlias = Callable[[Sketch], tuple[float, Args] | None]
Happen: TypeAlias = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of happening: how many of it a plan has (at most), how one is drawn and happens."""

    name: str
    most: int
    draw: Draw
    happen: Happen


KINDS: dict[str, Kind] = {}
"""Every kind, in the order in which a plan is drawn: what is referred to comes first."""


def happening(most: int, draw: Draw) -> Callable[[Happen], Happen]:
    """Register a coroutine function, called with the world and the arguments drawn, as a kind."""

    def register(happen: Happen) -> Happen:
        KINDS[happen.__name__] = Kind(happen.__name__, most, draw, happen)
        return happen

    return register


async def happen(world: World, what: Happening) -> None:
    """Let something happen."""
    world.note(f"{what.kind} {what.args}")
    args: dict[str, Any] = what.args
    await KINDS[what.kind].happen(world, **args)
