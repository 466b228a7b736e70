"""Measure and print: `python -m benchmarks --help`, or `make bench`."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from benchmarks import catalogue
from benchmarks.floors import verdicts
from benchmarks.machine import Machine
from benchmarks.options import Options, parse
from benchmarks.plots import draw
from benchmarks.results import Results
from benchmarks.rounds import measure
from benchmarks.servers import Servers
from benchmarks.subject import Subject
from benchmarks.tables import show, show_verdicts

TOO_BUSY = 0.5


def main() -> int:
    """Run the benchmark; 1 if something failed or a figure misses what is promised."""
    options, console = parse(), Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    servers = Servers()
    results = Results(Machine.here(servers), options.command)
    if results.machine.load > TOO_BUSY:
        console.print(f"[yellow]This machine is busy: load {results.machine.load}[/]")
    with tempfile.TemporaryDirectory(prefix="cueline-bench-") as folder:
        subjects = _subjects(options, servers, Path(folder), console)
        results.scenarios = [scenario.name for scenario in options.scenarios]
        measure(
            subjects,
            options.scenarios,
            results,
            scale=options.scale,
            processes=options.processes,
            rounds=options.rounds,
            servers=servers,
            say=lambda line: console.print(f"[dim]{line}[/]", highlight=False),
        )
    return _report(results, options, console)


def _subjects(options: Options, servers: Servers, folder: Path, console: Console) -> list[Subject]:
    """Those that are wanted and there."""
    ours = list(catalogue.cueline(servers, folder, options.slots))
    peers = list(catalogue.peers(servers, folder, options.slots))
    for kind in sorted(set(catalogue.SERVERS) - servers.there):
        console.print(f"[yellow]Nobody listens at {servers.urls[kind]}: left out[/]")
    if not options.subjects:
        return ours + (_installed(peers) if options.peers else [])
    known = {subject.name: subject for subject in ours + peers}
    if missing := [name for name in options.subjects if name not in known]:
        sys.exit(f"there is no {', '.join(missing)}; there are {', '.join(known)}")
    chosen = [known[name] for name in options.subjects]
    _installed(subject for subject in chosen if not subject.is_cueline)
    return chosen


def _installed(peers: Iterable[Subject]) -> list[Subject]:
    chosen = list(peers)
    if chosen and not catalogue.PEERS_PYTHON.exists():
        sys.exit(f"the peers are not installed: there is no {catalogue.PEERS_PYTHON}")
    return chosen


def _report(results: Results, options: Options, console: Console) -> int:
    show(results, console)
    judged = [] if options.is_quick else list(verdicts(results))  # quick figures mean nothing
    all_kept = show_verdicts(judged, console)
    if options.json is not None:
        promises = [
            {"is_kept": verdict.is_kept, "text": str(verdict), "limit": verdict.limit}
            for verdict in judged
        ]
        document = {**results.document(), "promises": promises}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    if options.plots is not None:
        draw(results, options.plots)
    return 0 if all_kept and not results.failures else 1


if __name__ == "__main__":
    sys.exit(main())
