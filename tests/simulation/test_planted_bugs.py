"""The simulation finds what is wrong: mistakes are planted, and each must be found."""

from __future__ import annotations

import sys

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.test_simulation import simulated

PATIENCE = 900
"""How long all of them together may take to be found, in seconds."""

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(PATIENCE + 10)]


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """What came of each mistake, by its name: one process looks for all, as loading takes long."""
    run = simulated("--planted", "all", "--seeds", "0-400", "--first", patience=PATIENCE)
    sys.stdout.write(run.stdout)
    lines = (line.partition(" ") for line in run.stdout.splitlines())
    return {name: outcome.strip() for name, _, outcome in lines}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(found: dict[str, str], name: str) -> None:
    first_seed, of_seeds, *_ = found[name].split(",")
    assert first_seed.isdecimal(), found[name]
    assert of_seeds.split()[0] != "0"
