"""The simulation from the command line; `python -m tests.simulation --help` says how."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path

from tests.simulation import campaign
from tests.simulation.drawing import draw
from tests.simulation.plan import Plan
from tests.simulation.planted import PLANTED
from tests.simulation.shrinking import shrink
from tests.simulation.simulation import Report, simulate

FIRST = 20
"""How many failing seeds are listed."""

TAIL = 60
"""How many lines of a trace are shown unless all are asked for."""


def main() -> int:
    """Run what the arguments say; 1 if an invariant was broken or a planted mistake not found."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of texts have an order of their own
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    logging.disable(logging.CRITICAL)
    arguments = _arguments()
    if arguments.planted:
        return _look_for_planted(
            arguments.planted, arguments.seeds, arguments.jobs, first=arguments.first
        )
    if arguments.plan is not None:
        return _replay(Plan.load(arguments.plan), whole=arguments.trace)
    if arguments.seed is not None:
        return _replay(draw(arguments.seed), whole=arguments.trace)
    return _explore(arguments.seeds, arguments.jobs, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_range, default=range(2000), help="from-to, as in 0-2000")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processors to use")
    parser.add_argument("--seed", type=int, help="replay this seed and show its trace")
    parser.add_argument("--plan", type=Path, help="replay a plan that was saved")
    parser.add_argument("--trace", action="store_true", help="show all of the trace")
    parser.add_argument("--out", type=Path, help="where to save the plan of a failure, cut down")
    parser.add_argument(
        "--planted", nargs="*", choices=[*PLANTED, "all"], help="look for these planted mistakes"
    )
    parser.add_argument("--first", action="store_true", help="look no further than the first find")
    return parser.parse_args()


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last)) if last else range(int(first))


def _explore(seeds: range, jobs: int, out: Path | None) -> int:
    began = partial(campaign.run, seeds, jobs, progress=_show_progress)
    tally, took = campaign.timed(began)
    _say(f"{took:.0f} s, {1000 * took * jobs / max(1, tally.seeds):.0f} ms a seed")
    for line in tally.lines():
        _say(line)
    for seed, violation in tally.failed[:FIRST]:
        _say(f"seed {seed}: {violation[:300]}")
    if not tally.failed:
        return 0
    _explain(tally.failed[0][0], out)
    return 1


def _show_progress(tally: campaign.Tally) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{tally.seeds} seeds, {len(tally.failed)} failed")


def _explain(seed: int, out: Path | None) -> None:
    """Cut the plan of a failing seed down, and say how to see it again."""
    plan = draw(seed)
    broken = _invariant(simulate(plan))
    small = shrink(plan, lambda candidate: _invariant(simulate(candidate)) == broken)
    path = out or Path(f"simulation-{seed}.json")
    small.save(path)
    _say(f"\nseed {seed}, cut down from {len(plan.happenings)} happenings:")
    _replay(small, whole=False)
    _say(f"\nto see it again: python -m tests.simulation --plan {path} --trace")


def _invariant(report: Report) -> str | None:
    return None if report.violation is None else report.violation.invariant


def _replay(plan: Plan, *, whole: bool) -> int:
    _say(f"{plan.isolation.value}, {plan.hosts}\n{plan.calls}\n{plan.messages}")
    for happening in plan.happenings:
        _say(str(happening))
    report = simulate(plan, keep_trace=True)
    _say("\n" + "\n".join(report.trace if whole else report.trace[-TAIL:]))
    _say(f"\ntrace {report.trace_hash}: {report.violation or 'every invariant held'}")
    return int(report.violation is not None)


def _look_for_planted(names: list[str], seeds: range, jobs: int, *, first: bool) -> int:
    missed = 0
    _say(f"{'planted mistake':44} the first seed that finds it, how many do, and by what")
    for name in PLANTED if "all" in names else names:
        tally = campaign.run(seeds, jobs, planted=name, until_failed=first)
        found = tally.failed
        missed += not found
        by = sorted({violation.partition(":")[0] for _, violation in found})
        told = (
            f"{found[0][0]:6}, {len(found):5} of {tally.seeds:5}  {', '.join(by)}"
            if found
            else "NOT FOUND"
        )
        _say(f"{name:44} {told}")
    return int(missed > 0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
