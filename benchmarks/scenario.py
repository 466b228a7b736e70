"""What can be measured: a scenario yields figures, at a scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from benchmarks.servers import Servers
from benchmarks.subject import Subject


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured, and which way of it is the better one."""

    name: str
    title: str
    unit: str
    less_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything. Each can be given to the command line by its name."""

    tasks: int = field(default=40_000, metadata={"help": "drained by one process; twice by more"})
    one: int = field(default=5_000, metadata={"help": "submitted one at a time, each awaited"})
    requests: int = field(default=20_000, metadata={"help": "posted over HTTP"})
    connections: int = field(default=64, metadata={"help": "of those posts"})
    probes: int = field(default=200, metadata={"help": "tasks at idle, after 20 that do not count"})
    chain_probes: int = field(default=50, metadata={"help": "chains at idle, after 5"})
    chains: int = field(default=5_000, metadata={"help": "of four steps"})
    fans: int = field(default=1_000, metadata={"help": "of ten parallel steps and a join"})
    rate: int = field(default=500, metadata={"help": "submits a second of the mixed load"})
    seconds: int = field(default=10, metadata={"help": "that the mixed load lasts"})
    queued: int = field(default=1_000_000, metadata={"help": "tasks that wait, of the backlog"})
    finished: int = field(default=10_000_000, metadata={"help": "rows of the history"})

    def of(self, share: float) -> Scale:
        """The same with fewer tasks, for a slower system."""
        return replace(
            self,
            tasks=int(self.tasks * share),
            one=int(self.one * share),
            chains=int(self.chains * share),
            fans=int(self.fans * share),
        )


QUICK = Scale(
    tasks=500,
    one=100,
    requests=300,
    connections=8,
    probes=10,
    chain_probes=3,
    chains=30,
    fans=5,
    rate=100,
    seconds=1,
    queued=2_000,
    finished=5_000,
)
"""To see that everything runs; the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a measurement has at hand."""

    subject: Subject
    scale: Scale
    servers: Servers
    processes: tuple[int, ...] = (1, 2, 4)


Figures: TypeAlias = Mapping[str, float]
"""Values by the names of figures."""


class Which(Enum):
    """Which subjects a scenario is for."""

    ALL = "all"
    CUELINE = "Cueline"
    MANY_PROCESSES = "Cueline, if several processes can share it"
    POSTGRES = "Cueline on PostgreSQL"

    def takes(self, subject: Subject) -> bool:
        """Whether this subject is one of them."""
        match self:
            case Which.ALL:
                return True
            case Which.CUELINE:
                return subject.is_cueline
            case Which.MANY_PROCESSES:
                return subject.is_cueline and not subject.is_alone
            case Which.POSTGRES:
                return subject.is_cueline and subject.kind == "postgres"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A measurement with a name."""

    name: str
    about: str
    figures: tuple[Figure, ...]
    measure: Callable[[Bench], Figures]
    of: Which = Which.ALL
    is_large: bool = False
    """Whether it takes so long that it only runs if asked for."""
