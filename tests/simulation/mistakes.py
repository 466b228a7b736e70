"""Known mistakes, planted on purpose, and how they are registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One known mistake: its name, what is wrong, and how it is planted."""

    name: str
    wrong: str
    plant: Plant

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While it lasts, the mistake is made."""
        with pytest.MonkeyPatch.context() as patch:
            self.plant(patch)
            yield


REGISTERED: dict[str, Mistake] = {}
"""Every mistake, by its name."""


def mistake(plant: Plant) -> Plant:
    """Register a function that plants a mistake; its docstring says what is wrong."""
    name = plant.__name__.replace("_", "-")
    REGISTERED[name] = Mistake(name, (plant.__doc__ or "").strip(), plant)
    return plant
