"""Figures as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


def figures(metrics: PrometheusMetrics) -> dict[str, float]:
    """What a Prometheus server would read, by name and labels; when each began left aside."""
    families = text_string_to_metric_families(metrics.expose().body.decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_every_figure_is_there_before_anything_has_happened(metrics: PrometheusMetrics) -> None:
    assert figures(metrics) == {
        "cueline_broker_up": 0,
        "cueline_hints_refused_total malformed": 0,
        "cueline_hints_refused_total unknown": 0,
        "cueline_hints_refused_total misdirected": 0,
        "cueline_tasks_taken_from_store_total": 0,
    }


def test_what_is_counted_adds_up_by_reason(metrics: PrometheusMetrics) -> None:
    metrics.hints_refused("malformed")
    metrics.hints_refused("unknown", 3)
    metrics.hints_refused("unknown", 4)
    metrics.taken_from_store(5)
    found = figures(metrics)
    assert found["cueline_hints_refused_total malformed"] == 1
    assert found["cueline_hints_refused_total unknown"] == 7
    assert found["cueline_tasks_taken_from_store_total"] == 5


@pytest.mark.parametrize("answers", [True, False])
def test_the_gauge_of_the_broker_shows_the_last_word(
    metrics: PrometheusMetrics, answers: bool
) -> None:
    metrics.broker_answers(not answers)
    metrics.broker_answers(answers)
    assert figures(metrics)["cueline_broker_up"] == answers


def test_each_application_has_figures_of_its_own(metrics: PrometheusMetrics) -> None:
    PrometheusMetrics().taken_from_store(9)
    assert figures(metrics)["cueline_tasks_taken_from_store_total"] == 0
    assert REGISTRY.get_sample_value("cueline_tasks_taken_from_store_total") is None
