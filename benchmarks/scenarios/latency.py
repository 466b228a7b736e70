"""How long a task waits before it starts: at idle, and under a steady load."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.rates import percentile, waits
from benchmarks.scenario import Bench, Figure, Figures, Scenario
from benchmarks.subject import until_ended

WARM_UP = 20
"""Probes that do not count."""

PAUSE = 0.02
"""Between two probes, in seconds."""


def _latency(bench: Bench) -> Figures:
    count = WARM_UP + bench.scale.probes
    ledger = bench.subject.prepare(count)
    with bench.subject.workers(1) as workers:
        for worker in workers:
            worker.until_ready()
        bench.subject.ask("probe", count=count, pause=PAUSE)
    waited = waits(ledger.submits(WARM_UP), ledger.starts(WARM_UP))
    ledger.close()
    return _percentiles("latency", waited)


LATENCY = Scenario(
    "latency",
    "at idle, one task at a time, in another process than the one worker: from the call of submit "
    "to the first line of the handler",
    (
        Figure("latency_p50", "median", "ms", less_is_better=True),
        Figure("latency_p99", "99th percentile", "ms", less_is_better=True),
    ),
    _latency,
)


def _mixed(bench: Bench) -> Figures:
    warm_up = bench.scale.rate  # a second of it
    count = warm_up + bench.scale.rate * bench.scale.seconds
    ledger = bench.subject.prepare(count)
    with bench.subject.workers(1) as workers:
        for worker in workers:
            worker.until_ready()
        bench.subject.ask("steady", count=count, rate=bench.scale.rate)
        until_ended(ledger, count)
    waited = waits(ledger.submits(warm_up), ledger.starts(warm_up))
    ledger.close()
    return _percentiles("mixed", waited)


MIXED = Scenario(
    "mixed",
    "submits at a steady rate, whether or not the former have been answered, with one worker: from "
    "the moment when each was due to be submitted to the first line of its handler",
    (
        Figure("mixed_p50", "median", "ms", less_is_better=True),
        Figure("mixed_p99", "99th percentile", "ms", less_is_better=True),
    ),
    _mixed,
)


def _percentiles(name: str, waited: Sequence[float]) -> Figures:
    return {f"{name}_p50": percentile(waited, 0.50), f"{name}_p99": percentile(waited, 0.99)}
