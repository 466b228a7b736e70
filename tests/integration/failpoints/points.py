"""What a failpoint is, how it is named, and the fuse that kills the process there."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.integration.failpoints.records import Dying, Passed, Record

PLUMBING = {
    "cueline.application.advancing",
    "cueline.application.batching",
    "cueline.application.changes",
    "cueline.application.intake",
    "cueline.application.link",
}
"""Modules that use cases share: they say nothing about who is at work."""

NOBODY = {"Outlet", "Window"}
"""Classes in the dispatcher's module that others use."""


class When(StrEnum):
    """On which side of the operation."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, order=True)
class Failpoint:
    """A moment in the life of a process: before or after an operation, by whom, on what."""

    operation: str
    by: str
    what: str
    when: When

    def __str__(self) -> str:
        what = f" ({self.what})" if self.what else ""
        return f"{self.when} {self.operation} by {self.by}{what}"


class Fuse:
    """Notes which failpoints a process passes, and kills it at the one that is armed."""

    def __init__(self, armed: Failpoint | None, record: Record) -> None:
        self._armed = armed
        self._record = record
        self._passed: set[Failpoint] = set()

    def pass_by(self, when: When, operation: str, facts: Collection[str] = ("",)) -> None:
        """Come by one failpoint for each of the facts. If one of them is armed, this is the end."""
        by = use_cases_at_work()
        for fact in facts:
            point = Failpoint(operation, by, fact, when)
            if point not in self._passed:
                self._passed.add(point)
                self._record.add(Passed(point))
            if point == self._armed:
                self._record.add(Dying(point, time.time()))
                os.kill(os.getpid(), signal.SIGKILL)


def use_cases_at_work() -> str:
    """The use cases that have led here, from the outermost in: `Maintain._evict`."""
    methods: dict[str, str] = {}
    for owner, method in _methods_on_the_stack():
        methods.setdefault(owner, method)  # of each class the innermost method
    named = [
        owner if method == "__call__" else f"{owner}.{method}" for owner, method in methods.items()
    ]
    return " > ".join(reversed(named))


def _methods_on_the_stack() -> Iterator[tuple[str, str]]:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("cueline.application.") and module not in PLUMBING:
            owner, _, method = frame.f_code.co_qualname.partition(".")
            if method and owner not in NOBODY:
                yield owner, method
