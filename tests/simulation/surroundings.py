"""What a simulated process finds around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cueline.infrastructure.memory.broker import MemoryBroker
from tests.doubles import RisingIds
from tests.simulation.broker import MessageOdds
from tests.simulation.chronicle import Chronicle
from tests.simulation.database import Database
from tests.simulation.handlers import Executions
from tests.simulation.loop import VirtualLoop
from tests.simulation.randomness import Streams


@dataclass(slots=True)
class CallOdds:
    """How likely it is that a call to a server meets with each accident."""

    slow: float = 0.0
    lost: float = 0.0
    broken_commit: float = 0.0
    slowest: float = 3.0
    """In seconds."""


class Surroundings(Protocol):
    """The servers, chance, and the odds."""

    loop: VirtualLoop
    streams: Streams
    database: Database
    broker: MemoryBroker
    ids: RisingIds
    executions: Executions
    chronicle: Chronicle
    odds: CallOdds
    message_odds: MessageOdds

    def count(self, fault: str) -> None:
        """Note that a fault was injected."""
        ...
