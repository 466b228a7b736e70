"""The plan of a simulation: everything that is going to happen, as data that can be cut down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cueline.domain.json import Json
from tests.simulation.broker import MessageOdds
from tests.simulation.database import Isolation
from tests.simulation.processes import Role
from tests.simulation.surroundings import CallOdds


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens at a time (in seconds), and what there is to say about it."""

    at: float
    kind: str
    args: dict[str, Json] = field(default_factory=dict)

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.args.items())
        return f"{self.at:7.3f}  {self.kind}({said})"


@dataclass(frozen=True, slots=True)
class Plan:
    """A world, what is asked of it and what befalls it until the horizon; then it must recover."""

    seed: int
    horizon: float
    isolation: Isolation
    hosts: dict[str, Role]
    calls: CallOdds
    messages: MessageOdds
    happenings: tuple[Happening, ...]
    calm: bool = False
    """Whether it ends with a time in which nothing goes wrong; see `calm`."""

    def with_only(self, happenings: Sequence[Happening]) -> Plan:
        """The same world with fewer happenings."""
        return replace(self, happenings=tuple(happenings))

    def save(self, path: Path) -> None:
        """Write the plan where `load` finds it."""
        document = asdict(self) | {"isolation": self.isolation.value}
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan that was saved."""
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        roles = document["hosts"].items()
        return cls(
            seed=document["seed"],
            horizon=document["horizon"],
            isolation=Isolation(document["isolation"]),
            hosts={name: Role(**role | {"queues": tuple(role["queues"])}) for name, role in roles},
            calls=CallOdds(**document["calls"]),
            messages=MessageOdds(**document["messages"]),
            happenings=tuple(Happening(**each) for each in document["happenings"]),
            calm=document["calm"],
        )
