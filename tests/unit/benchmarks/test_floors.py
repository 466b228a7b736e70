import pytest

from benchmarks import floors
from benchmarks.floors import verdicts
from benchmarks.scenarios import SCENARIOS
from tests.unit.benchmarks.results import (
    FASTER_ON_REDIS,
    ON_POSTGRES,
    ON_REDIS,
    OURS,
    SQLITE,
    make_results,
)


def test_more_than_promised_is_kept_and_less_is_missed() -> None:
    [kept] = verdicts(make_results((OURS, "enqueue_one", 2_501.0)))
    [missed] = verdicts(make_results((OURS, "enqueue_one", 2_499.0)))
    assert kept.is_kept
    assert not missed.is_kept


def test_of_what_had_better_be_little_less_is_kept() -> None:
    [kept] = verdicts(make_results((OURS, "latency_p99", 9.9)))
    [missed] = verdicts(make_results((OURS, "latency_p99", 10.1)))
    assert kept.is_kept
    assert not missed.is_kept


def test_a_figure_that_is_no_number_is_missed() -> None:
    [verdict] = verdicts(make_results((OURS, "enqueue_one", float("nan"))))
    assert not verdict.is_kept


def test_the_median_of_the_rounds_is_judged() -> None:
    rounds = [(OURS, "enqueue_one", value) for value in (9_000.0, 2_000.0, 2_100.0)]
    [verdict] = verdicts(make_results(*rounds))
    assert verdict.value == 2_100.0
    assert not verdict.is_kept


def test_what_was_not_measured_is_not_judged() -> None:
    assert list(verdicts(make_results((OURS, "postgres_cpu", 50.0)))) == []


def test_each_store_has_promises_of_its_own() -> None:
    assert list(verdicts(make_results((SQLITE, "enqueue_one", 1.0)))) == []
    [verdict] = verdicts(make_results((SQLITE, "latency_p50", 19.0)))
    assert verdict.is_kept


def test_a_drain_is_compared_with_the_fastest_peer_of_each_kind() -> None:
    results = make_results(
        (OURS, "drain_1", 10_000.0),
        (ON_REDIS, "drain_1", 1_000.0),
        (FASTER_ON_REDIS, "drain_1", 2_500.0),
        (ON_POSTGRES, "drain_1", 1_001.0),
    )
    by_redis, by_postgres = verdicts(results)
    assert (by_redis.limit, by_redis.is_kept) == (10_000.0, True)
    assert (by_postgres.limit, by_postgres.is_kept) == (10_010.0, False)


def test_without_peers_a_drain_is_compared_with_those_of_the_issue() -> None:
    by_redis, by_postgres = verdicts(make_results((OURS, "drain_2", 15_000.0)))
    assert by_redis.limit == pytest.approx(15_950.0)
    assert by_postgres.limit == pytest.approx(14_850.0)
    assert "in the issue" in by_redis.reason


def test_peers_are_promised_nothing() -> None:
    assert list(verdicts(make_results((ON_POSTGRES, "enqueue_one", 1.0)))) == []


def test_every_promise_is_of_a_figure_that_is_measured() -> None:
    figures = {f.name: f for scenario in SCENARIOS.values() for f in scenario.figures}
    at_least = {*floors.TIMES_THE_PEERS, *(n for of in floors.AT_LEAST.values() for n in of)}
    at_most = {name for of in floors.AT_MOST.values() for name in of}
    assert at_least | at_most <= set(figures)
    assert {name for name in at_least if figures[name].less_is_better} == set()
    assert {name for name in at_most if not figures[name].less_is_better} == set()
