"""What is promised of Cueline (issue 5, and of SQLite issue 2), and whether it was kept.

All of it is meant for an idle machine with 2 cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.results import Known, Results
from benchmarks.scenario import Figure
from benchmarks.scenarios import SCENARIOS

AT_LEAST = {
    "postgres": {
        "enqueue_one": 2_500.0,
        "enqueue_bulk": 50_000.0,
        "http": 3_000.0,
        "http_share": 50.0,
        "chains": 2_000.0,
        "backlog_share": 85.0,
        "history_share": 85.0,
    },
    "sqlite": {"drain_1": 4_000.0},
}
AT_MOST = {
    "postgres": {
        "worker_cpu": 100.0,
        "latency_p50": 2.5,
        "latency_p99": 10.0,
        "chain_latency": 6.0,
    },
    "sqlite": {"latency_p50": 20.0},
    "memory": {"latency_p50": 1.0},
}
"""By Cueline's store and the name of a figure."""

TIMES_THE_PEERS = {
    "drain_1": {"redis": 4.0, "postgres": 10.0},
    "drain_2": {"redis": 2.5, "postgres": 15.0},
}
"""On PostgreSQL, as a multiple of the fastest peer on each kind of server."""

PEERS_OF_THE_ISSUE = {
    "drain_1": {"redis": 2_630.0, "postgres": 810.0},
    "drain_2": {"redis": 6_380.0, "postgres": 990.0},
}
"""What the peers reached when the issue was written; for runs without peers."""

_FIGURES = {figure.name: figure for one in SCENARIOS.values() for figure in one.figures}


class Verdict(NamedTuple):
    """A promise, and what came of it."""

    subject: str
    figure: Figure
    value: float
    limit: float
    reason: str
    """What the limit is taken from."""

    @property
    def is_kept(self) -> bool:
        """Whether the figure is as good as promised."""
        if self.figure.less_is_better:
            return self.value <= self.limit
        return self.value >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.figure.less_is_better else "≥"
        unit, title = self.figure.unit, self.figure.title
        return (
            f"{self.subject}: {title} {self.value:,.4g} {unit}, "
            f"promised {sign} {self.limit:,.4g} ({self.reason})"
        )


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every promise about what was measured."""
    for subject in results.subjects:
        if subject.is_cueline:
            yield from _absolute(results, subject)
            if subject.kind == "postgres":
                yield from _against_the_peers(results, subject)


def _absolute(results: Results, subject: Known) -> Iterator[Verdict]:
    for limits in (AT_LEAST, AT_MOST):
        for name, limit in limits.get(subject.kind, {}).items():
            if (spread := results.of(subject.name, name)) is not None:
                yield Verdict(subject.name, _FIGURES[name], spread.median, limit, "by itself")


def _against_the_peers(results: Results, subject: Known) -> Iterator[Verdict]:
    for name, multiples in TIMES_THE_PEERS.items():
        spread = results.of(subject.name, name)
        if spread is None:
            continue
        for kind, multiple in multiples.items():
            peer = results.fastest_peer(_FIGURES[name], kind)
            reason = f"{multiple:g} x the fastest peer on {kind}"
            if peer is None:
                peer = PEERS_OF_THE_ISSUE[name][kind]
                reason += f", in the issue {peer:,.0f}"
            yield Verdict(subject.name, _FIGURES[name], spread.median, multiple * peer, reason)
