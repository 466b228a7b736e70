"""Submitting: one at a time, and in bulk."""

from __future__ import annotations

from contextlib import suppress

from benchmarks.scenario import Bench, Figure, Figures, Scenario
from benchmarks.subject import Unable


def _enqueue(bench: Bench) -> Figures:
    subject, scale = bench.subject, bench.scale
    subject.prepare(scale.one).close()
    figures = {"enqueue_one": scale.one / subject.ask("enqueue", count=scale.one)}
    subject.prepare(scale.tasks).close()
    with suppress(Unable):
        figures["enqueue_bulk"] = scale.tasks / subject.ask("enqueue", count=scale.tasks, bulk=True)
    return figures


ENQUEUE = Scenario(
    "enqueue",
    "submits from one process while no worker is there: one at a time, each awaited, and the "
    "fastest way to submit many",
    (
        Figure("enqueue_one", "one at a time", "tasks/s"),
        Figure("enqueue_bulk", "in bulk", "tasks/s"),
    ),
    _enqueue,
)
