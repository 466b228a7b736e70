"""What is measured, in the order in which it is told."""

from __future__ import annotations

from benchmarks.scenarios.cost import COST, DEAD_ROWS
from benchmarks.scenarios.crowded import BACKLOG, HISTORY
from benchmarks.scenarios.drain import DRAIN
from benchmarks.scenarios.enqueue import ENQUEUE
from benchmarks.scenarios.footprint import FOOTPRINT
from benchmarks.scenarios.http import HTTP
from benchmarks.scenarios.latency import LATENCY, MIXED
from benchmarks.scenarios.runs import CHAINS, FANS

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        ENQUEUE,
        HTTP,
        DRAIN,
        LATENCY,
        MIXED,
        CHAINS,
        FANS,
        FOOTPRINT,
        COST,
        DEAD_ROWS,
        BACKLOG,
        HISTORY,
    )
}
"""By name."""
