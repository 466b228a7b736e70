"""What adapters can do, as they declare it themselves.

The start compares the declarations with what a process is asked to be (its roles), the
documentation shows them, and a test of each holds them true.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Reach(IntEnum):
    """How far apart those may be who share something; each reach includes the ones before it."""

    PROCESS = 1
    MACHINE = 2
    NETWORK = 3


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What a store can do.

    `reach` says which processes may work on one store at the same time; `is_durable`, that a
    committed transaction survives the end of every process; `joins_transactions`, that a submit can
    be part of a transaction of the caller's own.
    """

    reach: Reach
    is_durable: bool
    joins_transactions: bool


@dataclass(frozen=True, slots=True)
class BrokerCapabilities:
    """What a broker can do beyond the port's contract, on which nobody may rely.

    `reach` says between which processes it carries messages; `outlives_server`, that they are still
    there after its server was restarted. Where they are not, the store brings them back.
    """

    reach: Reach
    outlives_server: bool


@dataclass(frozen=True, slots=True)
class BusCapabilities:
    """What an event bus can do: `reach` says between which processes it spreads events."""

    reach: Reach
