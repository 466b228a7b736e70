"""Many seeds, over several processors; what came of them in figures."""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context

from tests.simulation.drawing import draw
from tests.simulation.planted import PLANTED
from tests.simulation.simulation import Report, simulate

SHARE = 20
"""How many seeds a processor is given at a time."""

FIRST_SHARE = 4
"""The same where it is looked no further than the first find, which mostly comes soon."""

MANY_OBJECTS = 20_000
"""How many new objects make the garbage collector look: a world is soon over, and goes whole."""


@dataclass(slots=True)
class Tally:
    """What came of many simulations."""

    seeds: int = 0
    seconds: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Count one more."""
        self.seeds += 1
        self.seconds += report.seconds
        self.faults.update(report.faults)
        self.figures.update(report.figures)
        self.recoveries.extend(report.recoveries)
        self.hashes[report.seed] = report.trace_hash
        if report.violation is not None:
            self.failed.append((report.seed, str(report.violation)))

    def merge(self, other: Tally) -> None:
        """Count what another has counted."""
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.faults.update(other.faults)
        self.figures.update(other.figures)
        self.recoveries.extend(other.recoveries)
        self.hashes.update(other.hashes)
        self.failed.extend(other.failed)

    @property
    def digest(self) -> str:
        """Equal for two campaigns in which the same happened."""
        lines = "".join(f"{seed}:{self.hashes[seed]};" for seed in sorted(self.hashes))
        return blake2b(lines.encode(), digest_size=8).hexdigest()

    def lines(self) -> Iterator[str]:
        """The figures, for people."""
        yield f"{self.seeds} seeds, {self.seconds / 3600:.1f} simulated hours, trace {self.digest}"
        yield _listed("checked", self.figures)
        yield _listed("faults", self.faults)
        yield f"recovery from a kill: {_percentiles(self.recoveries)}"
        by_invariant = Counter(violation.partition(":")[0] for _, violation in self.failed)
        yield _listed("violations", by_invariant) if by_invariant else "violations: none"


def _listed(title: str, counts: Counter[str]) -> str:
    return f"{title}: " + ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def _percentiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "no task was held by a process that was killed"
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"p50 {p50:.1f} s, p99 {p99:.1f} s, max {ordered[-1]:.1f} s of {len(ordered)} tasks"


def run(
    seeds: range,
    jobs: int,
    *,
    planted: str | None = None,
    progress: Callable[[Tally], None] = lambda _: None,
    until_failed: bool = False,
) -> Tally:
    """Simulate these seeds; with `until_failed`, no more than it takes to find a violation."""
    tally = Tally()
    size = FIRST_SHARE if until_failed else SHARE
    shares = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    for share in _in_parallel(partial(_simulate_share, planted), shares, jobs):
        tally.merge(share)
        progress(tally)
        if until_failed and tally.failed:
            break
    tally.failed.sort()
    return tally


def _in_parallel(
    work: Callable[[range], Tally], shares: Sequence[range], jobs: int
) -> Iterable[Tally]:
    if jobs == 1:
        yield from map(work, shares)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        try:
            yield from pool.map(work, shares)
        finally:
            pool.shutdown(cancel_futures=True)


def _simulate_share(planted: str | None, seeds: range) -> Tally:
    logging.disable(logging.CRITICAL)
    gc.set_threshold(MANY_OBJECTS)
    tally = Tally()
    with PLANTED[planted].planted() if planted else nullcontext():
        for seed in seeds:
            tally.add(simulate(draw(seed)))
    gc.collect()
    return tally


def timed(work: Callable[[], Tally]) -> tuple[Tally, float]:
    """What came of it, and how many seconds it took."""
    began = time.monotonic()
    return work(), time.monotonic() - began
