"""What processes need before and after work: time to be ready, and memory."""

from __future__ import annotations

import time

from benchmarks.scenario import Bench, Figure, Figures, Scenario
from benchmarks.scenarios.http import TASKS, api, posted
from benchmarks.subject import until_ended

SETTLING = 1.0
"""How long a process is left alone before its memory is read, in seconds."""


def _footprint(bench: Bench) -> Figures:
    ledger = bench.subject.prepare(bench.scale.tasks)
    figures = {}
    with bench.subject.workers(1) as workers:
        for worker in workers:
            figures["start_worker"] = worker.until_ready()
            time.sleep(SETTLING)
            figures["memory_worker"] = worker.usage.memory / 2**20
        bench.subject.fill(bench.scale.tasks)
        until_ended(ledger, bench.scale.tasks)
        for worker in workers:
            figures["memory_worker_after"] = worker.usage.memory / 2**20
    ledger.close()
    if bench.subject.is_cueline and not bench.subject.is_alone:
        figures |= _of_the_api(bench)
    return figures


def _of_the_api(bench: Bench) -> dict[str, float]:
    bench.subject.prepare(bench.scale.requests).close()
    with api(bench) as (process, port):
        ready = process.ready_at - process.started_at
        time.sleep(SETTLING)
        idle = process.usage.memory / 2**20
        posted(port, TASKS, bench.scale.requests, bench.scale.connections)
        after = process.usage.memory / 2**20
    return {"start_api": ready, "memory_api": idle, "memory_api_after": after}


FOOTPRINT = Scenario(
    "footprint",
    "from the start of a process until it can take tasks; its resident memory then, and after it "
    "has worked off (the API: accepted) all tasks, children included",
    (
        Figure("start_worker", "start of a worker", "s", less_is_better=True),
        Figure("start_api", "of the API", "s", less_is_better=True),
        Figure("memory_worker", "worker, idle", "MiB", less_is_better=True),
        Figure("memory_worker_after", "after the work", "MiB", less_is_better=True),
        Figure("memory_api", "API, idle", "MiB", less_is_better=True),
        Figure("memory_api_after", "after the posts", "MiB", less_is_better=True),
    ),
    _footprint,
)
