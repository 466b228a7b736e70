"""Known mistakes, planted on purpose, and how they are registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

Plant = Callable[[pytest.MonkeyPatch], None]


class Planting(pytest.MonkeyPatch):  # type: ignore[misc]  # final only for type checkers
    """Puts in another function only if that can be called in the same way.

    One that cannot would be found, too, but for the wrong reason.
    """

    def setattr(self, target: object, name: str, value: object) -> None:  # type: ignore[override]
        """Replace an attribute, as pytest's own does."""
        genuine = getattr(target, name)
        if inspect.isfunction(value) and not _takes(value) >= _takes(genuine):
            raise TypeError(f"{name} must take what the genuine one takes: {_takes(genuine)}")
        super().setattr(target, name, value)


class _Anything(frozenset[str]):
    """What is taken by a function that passes on whatever it is given."""

    def __ge__(self, other: object) -> bool:
        return True


def _takes(function: Callable[..., object]) -> frozenset[str]:
    """What a function takes, by name; a leading underscore only says that it is not used."""
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_POSITIONAL for each in parameters.values()):
        return _Anything()
    return frozenset(name.lstrip("_") for name in parameters)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One known mistake: its name, what is wrong, and how it is planted."""

    name: str
    wrong: str
    plant: Plant

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While it lasts, the mistake is made."""
        patch = Planting()
        try:
            self.plant(patch)
            yield
        finally:
            patch.undo()


REGISTERED: dict[str, Mistake] = {}
"""Every mistake, by its name."""


def mistake(plant: Plant) -> Plant:
    """Register a function that plants a mistake; its docstring says what is wrong."""
    name = plant.__name__.replace("_", "-")
    REGISTERED[name] = Mistake(name, (plant.__doc__ or "").strip(), plant)
    return plant
