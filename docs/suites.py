"""The contract suites: which test class tries which adapter, found by importing the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import isclass, signature
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.contracts.broker import BrokerContract
from tests.contracts.event_bus import EventBusContract
from tests.contracts.store import StoreContract
from tests.integration import test_every_pair

ROOT = Path(__file__).parents[1]
CONTRACTS = (StoreContract, BrokerContract, EventBusContract)


@dataclass(frozen=True)
class Suite:
    """A test class that holds an adapter to the contract of its port."""

    adapter: type
    cases: int
    file: str


@cache
def suites() -> tuple[Suite, ...]:
    """Every contract suite of the tests."""
    return tuple(
        Suite(test_class.adapter, sum(map(cases, tests_of(test_class))), file)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "from tests.contracts." in path.read_text(encoding="utf-8")
        for file in [path.relative_to(ROOT).as_posix()]
        for test_class in _contract_classes(_imported(file))
    )


def scenarios() -> int:
    """How many end-to-end tests there are that every pair of store and broker passes."""
    return sum(
        "settings" in signature(test).parameters and not _marks(test)
        for name, test in vars(test_every_pair).items()
        if name.startswith("test_")  # those with marks choose their pairs themselves
    )


def tests_of(test_class: type) -> Iterator[Any]:
    """The test functions of a class, inherited ones included."""
    return (getattr(test_class, name) for name in dir(test_class) if name.startswith("test_"))


def cases(test: Any) -> int:
    """How many cases a test function has: one, or as many as its parameters make."""
    count = 1
    for mark in _marks(test):
        if mark.name == "parametrize":
            count *= len(mark.args[1])
    return count


def _marks(test: Any) -> list[Any]:
    return list(getattr(test, "pytestmark", ()))


def _imported(file: str) -> ModuleType:
    return import_module(file.removesuffix(".py").replace("/", "."))


def _contract_classes(module: ModuleType) -> Iterator[Any]:
    for name, value in vars(module).items():
        if name.startswith("Test") and isclass(value) and issubclass(value, CONTRACTS):
            yield value
