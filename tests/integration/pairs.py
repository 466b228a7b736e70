"""Every store with every broker that it can be combined with, as settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cueline.settings import BROKERS, STORES, THE_STORE

SERVED = {"postgres": "postgres_store_url", "redis": "redis_url", "rabbitmq": "rabbitmq_url"}
"""The fixtures of what needs a server."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A store and a broker by their kinds; a broker on the store itself has the store's."""

    store: str
    broker: str

    def settings(self, request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
        """What selects them, with servers as the fixtures give them."""
        return {
            "store": self._url(self.store, request, folder),
            "broker": (
                THE_STORE if self.broker == self.store else self._url(self.broker, request, folder)
            ),
            "namespace": str(request.getfixturevalue("namespace")),
        }

    @staticmethod
    def _url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
        match kind:
            case "memory":
                return "memory://"
            case "sqlite":
                return f"sqlite:///{folder / 'cueline.db'}"
            case _:
                return str(request.getfixturevalue(SERVED[kind]))

    def __str__(self) -> str:
        return f"{self.store}-{self.broker}"


def _parameter(pair: Pair) -> ParameterSet:
    needs_server = not SERVED.keys().isdisjoint({pair.store, pair.broker})
    marks = [pytest.mark.server] if needs_server else []
    return pytest.param(pair, id=str(pair), marks=marks)


PAIRS = [_parameter(Pair(store, broker)) for store in STORES for broker in BROKERS[store]]

ONE_FOR_EACH_BROKER = [
    _parameter(Pair(*pair))
    for pair in (
        ("memory", "memory"),
        ("sqlite", "sqlite"),
        ("postgres", "postgres"),
        ("postgres", "redis"),
        ("postgres", "rabbitmq"),
    )
]
