"""Measuring in rounds: each scenario goes through all subjects before the next one begins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from benchmarks.results import Known, Results
from benchmarks.scenario import Bench, Scale, Scenario
from benchmarks.servers import Servers
from benchmarks.subject import Failed, Subject, Unable

PROBLEMS = (Failed, subprocess.SubprocessError)


def measure(
    subjects: Sequence[Subject],
    scenarios: Sequence[Scenario],
    results: Results,
    *,
    scale: Scale,
    processes: tuple[int, ...],
    rounds: int,
    servers: Servers,
    say: Callable[[str], None],
) -> None:
    """Fill the results. What a subject cannot do is left out; what it fails at is noted."""
    present = [subject for subject in subjects if _is_present(subject, results)]
    try:
        for number in range(1, rounds + 1):
            for scenario in scenarios:
                for subject in present:
                    if scenario.of.takes(subject):
                        say(f"round {number} of {rounds}: {scenario.name}, {subject.name}")
                        bench = Bench(subject, scale.of(subject.share), servers, processes)
                        _measure(scenario, bench, results)
    finally:
        for subject in present:
            _remove(subject, results)


def _is_present(subject: Subject, results: Results) -> bool:
    try:
        known = Known(subject.name, subject.kind, subject.is_cueline, subject.settings)
    except PROBLEMS as error:
        results.failures.append(str(error))
        return False
    results.subjects.append(known)
    return True


def _measure(scenario: Scenario, bench: Bench, results: Results) -> None:
    try:
        figures = scenario.measure(bench)
    except Unable:
        return
    except PROBLEMS as error:
        failure = f"{scenario.name}, {bench.subject.name}: {error}\n{bench.subject.last_words}"
        results.failures.append(failure.strip())
        return
    for name, value in figures.items():
        results.values[bench.subject.name, name].append(value)


def _remove(subject: Subject, results: Results) -> None:
    try:
        subject.remove()
    except PROBLEMS as error:
        results.failures.append(str(error))
