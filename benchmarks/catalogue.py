"""Which subjects there are: Cueline on each pair of store and broker, and its peers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.servers import Servers
from benchmarks.subject import ROOT, Subject

PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PEERS_SHARE = 0.25
"""Peers are given a quarter of the tasks: they would take many times as long."""

PAIRS = {
    "memory": ("memory", "memory"),
    "sqlite": ("sqlite", "store"),
    "postgres": ("postgres", "store"),
    "postgres+redis": ("postgres", "redis"),
    "postgres+rabbitmq": ("postgres", "rabbitmq"),
}
"""Cueline's stores and brokers, by what they are called here."""

SERVERS = ("postgres", "redis", "rabbitmq")
RESULTS = "redis"


def cueline(servers: Servers, folder: Path, slots: int) -> Iterator[Subject]:
    """Cueline on each pair whose servers are there."""
    for name, (store, broker) in PAIRS.items():
        if {store, broker} & set(SERVERS) <= servers.there:
            yield _cueline(name, store, broker, servers, folder, slots)


def peers(servers: Servers, folder: Path, slots: int) -> Iterator[Subject]:
    """The peers whose server is there, each a module named after itself and its server.

    Those on RabbitMQ keep their results in Redis.
    """
    for path in sorted((ROOT / "benchmarks" / "subjects").glob("*.py")):
        _, _, kind = path.stem.rpartition("_")
        if {kind, RESULTS if kind == "rabbitmq" else kind} <= servers.there:
            name = path.stem.replace("_", "-")
            place = _own(folder, name)
            yield Subject(
                name=name,
                module=f"benchmarks.subjects.{path.stem}",
                python=PEERS_PYTHON,
                kind=kind,
                environment={
                    "BENCH_URL": servers.urls[kind],
                    "BENCH_STORE_URL": servers.urls.get(RESULTS, ""),
                    "BENCH_NAMESPACE": f"bench{os.getpid()}",
                    "BENCH_SLOTS": str(slots),
                },
                folder=place,
                share=PEERS_SHARE,
            )


def _cueline(
    name: str, store: str, broker: str, servers: Servers, folder: Path, slots: int
) -> Subject:
    place = _own(folder, name)
    namespace = f"bench{os.getpid()}_{name.replace('+', '_')}"
    stores = {
        "memory": "memory://",
        "sqlite": f"sqlite:///{place / 'bench.db'}",
        "postgres": servers.database(namespace),
    }
    brokers = {**servers.urls, "memory": "memory://", "store": "store"}
    return Subject(
        name=f"cueline-{name}",
        module="benchmarks.subjects.cueline",
        python=Path(sys.executable),
        kind=store,
        environment={
            "BENCH_STORE_URL": stores[store],
            "BENCH_URL": brokers[broker],
            "BENCH_NAMESPACE": namespace,
            "BENCH_SLOTS": str(slots),
        },
        folder=place,
        is_cueline=True,
        store_url=stores[store],
    )


def _own(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    (place / "log").touch()
    return place
