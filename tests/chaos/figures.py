"""What came of a row, in figures, and the table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.judging import KINDS, Finding

CAPTION = """
lost      acknowledged, and in the end without a row, or not ended
twice     an attempt with two accepted outcomes, or begun twice; a task that ended twice
stale     a write that was accepted although it did not come from the current version and owner
wrong     ended otherwise than its policy says, or attempts that do not lead to the row
again     executions of a task beyond its first: a handler is run at least once
p50 ...   seconds from a fault to the end of each task that it hit: those that the struck worker
          was running; where a server was struck, all that were submitted and had not ended
"""

HEADINGS = ("row", "faults", "tasks", *KINDS, "again", "p50", "p99", "max", "took")
WIDTHS = (17, 7, 8, 5, 6, 6, 6, 7, 7, 7, 7, 7)


@dataclass(slots=True)
class Figures:
    """What came of a row, or of one of its worlds. `stuck` tells what never came about."""

    faults: Counter[str] = field(default_factory=Counter)
    tasks: int = 0
    findings: list[Finding] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    again: int = 0
    recoveries: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def merge(self, other: Figures) -> None:
        """Count what came of another world too."""
        self.faults.update(other.faults)
        self.tasks += other.tasks
        self.findings += other.findings
        self.evidence += other.evidence
        self.stuck += other.stuck
        self.again += other.again
        self.recoveries += other.recoveries
        self.seconds += other.seconds

    @property
    def is_clean(self) -> bool:
        """Whether nothing happened that must never happen."""
        return not self.findings and not self.stuck

    @property
    def counts(self) -> Counter[str]:
        """How many findings there are of each kind."""
        return Counter(finding.kind for finding in self.findings)

    def recovery(self, share: float) -> float | None:
        """The time within which this share of the tasks that were hit had ended."""
        ordered = sorted(self.recoveries)
        return ordered[int(share * (len(ordered) - 1))] if ordered else None

    def document(self) -> dict[str, Any]:
        """The figures for programs."""
        return {
            "faults": dict(self.faults),
            "tasks": self.tasks,
            **{kind: self.counts[kind] for kind in KINDS},
            "executed_again": self.again,
            "recovery": {
                "tasks": len(self.recoveries),
                **{n: self.recovery(s) for n, s in (("p50", 0.5), ("p99", 0.99), ("max", 1))},
            },
            "seconds": round(self.seconds, 1),
            "stuck": self.stuck,
            "findings": [finding._asdict() for finding in self.findings],
        }


def heading() -> str:
    """The first line of the table."""
    return _line(HEADINGS)


def line(name: str, figures: Figures) -> str:
    """The line of one row."""
    recovered = [figures.recovery(share) for share in (0.5, 0.99, 1)]
    return _line(
        (
            name,
            f"{figures.faults.total():,}",
            f"{figures.tasks:,}",
            *(f"{figures.counts[kind]}" for kind in KINDS),
            f"{figures.again:,}",
            *("-" if each is None else f"{each:.2f}" for each in recovered),
            f"{figures.seconds:.0f} s",
        )
    )


def complaints(name: str, figures: Figures) -> Iterator[str]:
    """What was wrong with a row, with the evidence."""
    yield from (f"{name}: stuck: {what}" for what in figures.stuck)
    yield from figures.evidence


def _line(cells: Sequence[str]) -> str:
    first, *others = cells
    numbers = (f"{cell:>{width}}" for cell, width in zip(others, WIDTHS[1:], strict=True))
    return f"{first:<{WIDTHS[0]}}" + "".join(numbers)
