"""Steps that follow one another: chains of four, and ten in parallel with a join."""

from __future__ import annotations

from benchmarks.rates import percentile, waits, whole_rate
from benchmarks.scenario import Bench, Figure, Figures, Scenario
from benchmarks.scenarios.latency import PAUSE
from benchmarks.subject import until_ended

WARM_UP = 5
"""Chains at idle that do not count."""


def _chains(bench: Bench) -> Figures:
    count = WARM_UP + bench.scale.chain_probes
    ledger = bench.subject.prepare(count)
    with bench.subject.workers(1) as workers:
        for worker in workers:
            worker.until_ready()
        bench.subject.ask("probe", count=count, pause=PAUSE, of="chains")
    waited = waits(ledger.submits(WARM_UP), ledger.ends(WARM_UP))
    ledger.close()
    return {
        "chains": _worked_off(bench, "chains", bench.scale.chains),
        "chain_latency": percentile(waited, 0.50),
    }


def _fans(bench: Bench) -> Figures:
    return {"fans": _worked_off(bench, "fans", bench.scale.fans)}


def _worked_off(bench: Bench, verb: str, count: int) -> float:
    """Runs a second, by one worker; alone, they begin while others are still being submitted."""
    ledger = bench.subject.prepare(count)
    bench.subject.ask(verb, count=count)
    with bench.subject.workers(1):
        until_ended(ledger, count)
    rate = whole_rate(ledger.starts(), ledger.ends())
    ledger.close()
    return rate


CHAINS = Scenario(
    "chains",
    "four steps, each started by the end of the one before: begun with no worker there, then "
    "worked off by one, from the first start to the last end; and one chain at idle, from the call "
    "of submit to the end of its last step",
    (
        Figure("chains", "chains, one process", "chains/s"),
        Figure("chain_latency", "a chain at idle, median", "ms", less_is_better=True),
    ),
    _chains,
)

FANS = Scenario(
    "fans",
    "ten parallel steps and one that starts when all of them are done: begun with no worker there, "
    "then worked off by one, from the first start to the last end",
    (Figure("fans", "fans, one process", "fans/s"),),
    _fans,
)
