"""Metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from cueline.application.ports.metrics import Exposition, Metrics


class PrometheusMetrics(Metrics):
    """Keeps the figures of one process in a registry of its own, and exposes them as text."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._broker_up = Gauge(
            "cueline_broker_up",
            "Whether the broker answered when it was last needed (1) or not (0).",
            registry=self._registry,
        )
        self._hints_refused = Counter(
            "cueline_hints_refused_total",
            "Messages that could not be believed and did nothing.",
            ["reason"],
            registry=self._registry,
        )
        self._taken_from_store = Counter(
            "cueline_tasks_taken_from_store_total",
            "Tasks that workers took without a message: from a backlog, or for want of a broker.",
            registry=self._registry,
        )
        for reason in ("malformed", "unknown", "misdirected"):  # so that a first one is a rise
            self._hints_refused.labels(reason)

    def broker_answers(self, answers: bool) -> None:
        self._broker_up.set(answers)

    def hints_refused(self, reason: str, count: int = 1) -> None:
        self._hints_refused.labels(reason).inc(count)

    def taken_from_store(self, count: int) -> None:
        self._taken_from_store.inc(count)

    def expose(self) -> Exposition:
        return Exposition(CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry))
