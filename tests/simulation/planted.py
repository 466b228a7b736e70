"""Known mistakes, planted on purpose: the simulation must find each of them.

Every one replaces a function of the product while it is planted. None of this can be switched on
from the product.
"""

from __future__ import annotations

from tests.simulation import (  # each registers its own
    mistakes_with_runs,
    mistakes_with_tasks,
    mistakes_with_workers,
)
from tests.simulation.mistakes import REGISTERED as PLANTED

SOURCES = (mistakes_with_tasks, mistakes_with_workers, mistakes_with_runs)

__all__ = ["PLANTED", "SOURCES"]
