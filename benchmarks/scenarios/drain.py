"""Working off what has been queued: by one worker process, by two, by four."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ledger import Ledger
from benchmarks.rates import steady_rate
from benchmarks.scenario import Bench, Figure, Figures, Scenario
from benchmarks.subject import Process, until_ended


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain came to: tasks a second; seconds of CPU for each task, if they can be told."""

    rate: float
    worker_cpu: float | None
    postgres_cpu: float | None


def drained(bench: Bench, count: int, processes: int = 1) -> Drained:
    """In an empty place, queue tasks with no worker there, and have them worked off."""
    ledger = bench.subject.prepare(count)
    bench.subject.fill(count)
    return worked_off(bench, ledger, count, processes)


def worked_off(bench: Bench, ledger: Ledger, count: int, processes: int = 1) -> Drained:
    """Have the first so many of what is queued worked off."""
    with ledger, bench.subject.workers(processes) as workers:
        for worker in workers:
            worker.until_ready()
        ready, done, before = time.monotonic(), ledger.done(), _cpu(bench, workers)
        until_ended(ledger, count)
        worked, after = ledger.done() - done, _cpu(bench, workers)
        rate = steady_rate(ledger.ends(0, count), since=ready if workers else 0.0)
    if not workers or not worked:
        return Drained(rate, None, None)
    worker_cpu, postgres_cpu = (
        (then - now) / worked for then, now in zip(after, before, strict=True)
    )
    return Drained(rate, worker_cpu, postgres_cpu if bench.subject.kind == "postgres" else None)


def _cpu(bench: Bench, workers: Sequence[Process]) -> tuple[float, float]:
    """The CPU seconds so far, of the workers and of PostgreSQL."""
    return sum(worker.usage.cpu for worker in workers), bench.servers.postgres_cpu() or 0.0


def _drain(bench: Bench) -> Figures:
    figures = {}
    for processes in bench.processes:
        if bench.subject.is_alone and processes > 1:
            continue
        outcome = drained(bench, bench.scale.tasks * min(processes, 2), processes)
        figures[f"drain_{processes}"] = outcome.rate
        if processes == 1 and outcome.worker_cpu is not None:
            figures["worker_cpu"] = outcome.worker_cpu * 1e6
        if processes == 1 and outcome.postgres_cpu is not None:
            figures["postgres_cpu"] = outcome.postgres_cpu * 1e6
    return figures


DRAIN = Scenario(
    "drain",
    "tasks queued with no worker there, then worked off by one, two or four worker processes: the "
    "rate between the 10th and 95th percentile of their ends, all workers being ready",
    (
        Figure("drain_1", "drain, one process", "tasks/s"),
        Figure("drain_2", "two processes", "tasks/s"),
        Figure("drain_4", "four processes", "tasks/s"),
        Figure("worker_cpu", "CPU of the worker", "µs/task", less_is_better=True),
        Figure("postgres_cpu", "CPU of PostgreSQL", "µs/task", less_is_better=True),
    ),
    _drain,
)
