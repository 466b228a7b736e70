"""What was measured: the values of every round, and how to get them again."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.machine import Machine
from benchmarks.scenario import Figure, Scenario
from benchmarks.scenarios import SCENARIOS


class Spread(NamedTuple):
    """The middle of the rounds' values, and how far they lie apart."""

    median: float
    least: float
    most: float


class Known(NamedTuple):
    """A subject, as far as results tell of it."""

    name: str
    kind: str
    is_cueline: bool
    settings: str


@dataclass
class Results:
    """Values by subject and figure, in the order of the rounds."""

    machine: Machine
    command: str
    """What began all this, without scenarios and subjects."""
    subjects: list[Known] = field(default_factory=list)
    scenarios: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)

    def of(self, subject: str, figure: str) -> Spread | None:
        """A figure of a subject; None if it has none."""
        values = self.values.get((subject, figure))
        if not values:
            return None
        return Spread(statistics.median(values), min(values), max(values))

    def measured(self) -> Iterator[tuple[Scenario, list[Known]]]:
        """The scenarios that were run, each with the subjects that have figures of it."""
        for name in self.scenarios:
            scenario = SCENARIOS[name]
            having = [
                subject
                for subject in self.subjects
                if any(self.of(subject.name, figure.name) for figure in scenario.figures)
            ]
            if having:
                yield scenario, having

    def fastest_peer(self, figure: Figure, kind: str | None = None) -> float | None:
        """The best median that a peer reached, on one kind of server or any."""
        medians = [
            spread.median
            for subject in self.subjects
            if not subject.is_cueline and kind in (None, subject.kind)
            if (spread := self.of(subject.name, figure.name)) is not None
        ]
        return (min if figure.less_is_better else max)(medians, default=None)

    def command_for(self, scenario: Scenario, subject: Known | None = None) -> str:
        """What measures this again: for all subjects, or for one."""
        one = f" --subjects {subject.name}" if subject is not None else ""
        return f"{self.command} --only {scenario.name}{one}"

    def document(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "machine": self.machine.document(),
            "subjects": [subject._asdict() for subject in self.subjects],
            "figures": list(self._figures()),
            "failures": self.failures,
        }

    def _figures(self) -> Iterator[dict[str, Any]]:
        for scenario, subjects in self.measured():
            for subject in subjects:
                for figure in scenario.figures:
                    if (spread := self.of(subject.name, figure.name)) is not None:
                        yield {
                            "subject": subject.name,
                            "scenario": scenario.name,
                            "figure": figure.name,
                            "unit": figure.unit,
                            **spread._asdict(),
                            "rounds": self.values[subject.name, figure.name],
                            "command": self.command_for(scenario, subject),
                        }
