"""What can be asked of the benchmark on its command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.scenario import QUICK, Scale, Scenario
from benchmarks.scenarios import SCENARIOS

ROUNDS, SLOTS = 3, 100
PROCESSES = (1, 2, 4)
QUICK_ROUNDS, QUICK_PROCESSES = 1, (1, 2)


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be measured, how often, and what becomes of it."""

    scenarios: list[Scenario]
    subjects: list[str]
    """By name; empty for all of Cueline, and its peers if they are wanted."""
    peers: bool
    scale: Scale
    is_quick: bool
    rounds: int
    slots: int
    processes: tuple[int, ...]
    json: Path | None
    plots: Path | None
    command: str
    """What asks for the same, but for scenarios, subjects and files."""


def parse(words: list[str] | None = None) -> Options:
    """Read the command line."""
    given = _parser().parse_args(words)
    scale = QUICK if given.quick else Scale()
    sizes = {f.name: size for f in fields(Scale) if (size := getattr(given, f.name)) is not None}
    return Options(
        scenarios=_scenarios(given),
        subjects=given.subjects or [],
        peers=given.peers,
        scale=replace(scale, **sizes),
        is_quick=given.quick,
        rounds=given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS),
        slots=given.slots,
        processes=tuple(given.processes or (QUICK_PROCESSES if given.quick else PROCESSES)),
        json=given.json,
        plots=given.plots,
        command=_again(given, sizes),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure how fast Cueline is on this machine, on each store and broker.",
        epilog="Servers: BENCH_POSTGRES, BENCH_REDIS and BENCH_RABBITMQ name them by URL; else "
        "those at their usual local ports are used, and what is not there is left out. "
        "Status 1: a promise was not kept, or something failed.",
    )
    add = parser.add_argument
    add("--only", nargs="+", metavar="SCENARIO", choices=SCENARIOS, help=", ".join(SCENARIOS))
    add("--subjects", nargs="+", metavar="NAME", help="cueline-postgres+redis, saq-redis, ...")
    add("--peers", action="store_true", help="measure the peers, too (make bench-peers)")
    add("--large", action="store_true", help="the scenarios that take very long, too")
    add("--quick", action="store_true", help="see that all runs, in a minute; figures mean nothing")
    add("--rounds", type=int, help=f"how often ({ROUNDS}); medians count")
    add("--slots", type=int, default=SLOTS, help=f"tasks at once in each worker ({SLOTS})")
    add("--processes", type=int, nargs="+", metavar="N", help="worker processes of drains (1 2 4)")
    add("--json", type=Path, metavar="FILE", help="write everything into this file")
    add("--plots", type=Path, metavar="DIR", help="draw each figure into this folder")
    for size in fields(Scale):
        text = f"{size.metadata['help']} ({size.default:,})"
        add(f"--{size.name.replace('_', '-')}", type=int, metavar="N", help=text)
    return parser


def _scenarios(given: argparse.Namespace) -> list[Scenario]:
    if given.only:
        return [SCENARIOS[name] for name in given.only]
    return [scenario for scenario in SCENARIOS.values() if given.large or not scenario.is_large]


def _again(given: argparse.Namespace, sizes: dict[str, Any]) -> str:
    words = ["python -m benchmarks"]
    if given.quick:
        words.append("--quick")
    if given.peers:
        words.append("--peers")
    if given.rounds is not None:
        words.append(f"--rounds {given.rounds}")
    if given.slots != SLOTS:
        words.append(f"--slots {given.slots}")
    if given.processes:
        words.append(f"--processes {' '.join(map(str, given.processes))}")
    words += [f"--{name.replace('_', '-')} {size}" for name, size in sizes.items()]
    return " ".join(words)
