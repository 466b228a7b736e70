"""The short run of the simulation, and that it can be trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.drawing import draw
from tests.simulation.plan import Happening, Plan
from tests.simulation.shrinking import shrink

ROOT = Path(__file__).parents[2]


def simulated(*arguments: str, patience: float = 60) -> subprocess.CompletedProcess[str]:
    """The simulation in a process of its own, where sets of texts have a fixed order."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )


@pytest.mark.simulation
@pytest.mark.timeout(910)
def test_every_invariant_holds_in_2000_seeds(tmp_path: Path) -> None:
    run = simulated("--seeds", "0-2000", "--out", str(tmp_path / "plan.json"), patience=900)
    sys.stdout.write(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_seed_is_the_same_every_time() -> None:
    first, second = (simulated("--seeds", "100-108", "--jobs", "1").stdout for _ in range(2))
    assert [line for line in first.splitlines() if "trace" in line] == [
        line for line in second.splitlines() if "trace" in line
    ]
    assert "violations: none" in first


def test_other_seeds_are_other_worlds() -> None:
    assert draw(1) != draw(2)
    assert draw(1) == draw(1)


def test_a_plan_that_was_saved_is_the_same_plan(tmp_path: Path) -> None:
    plan = draw(7)
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan


def test_a_failing_plan_is_cut_down_to_what_it_takes() -> None:
    plan = draw(7)
    first, last = plan.happenings[1], plan.happenings[-2]

    def fails(candidate: Plan) -> bool:
        return first in candidate.happenings and last in candidate.happenings

    small = shrink(plan, fails)
    assert small.happenings == (first, last)
    assert (small.calls.lost, small.messages.dropped) == (0.0, 0.0)


def test_a_happening_can_be_read() -> None:
    assert str(Happening(1.5, "kill", {"host": "a"})) == "  1.500  kill(host=a)"
