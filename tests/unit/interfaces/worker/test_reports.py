"""Lines of log wait in the worker until they are written, and are never overtaken."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from cueline.application.context import Report
from cueline.domain.errors import Unavailable
from cueline.interfaces.worker.reports import Reports
from tests.doubles import FakeClock
from tests.factories import a_task


class Paper:
    """Where lines are written, as soon as the test allows it, or never."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()
        self.fails = False
        self.lines: list[str] = []

    async def __call__(self, entries: list[Any]) -> None:
        await self.allowed.wait()
        if self.fails:
            raise Unavailable("the store", "it is away")
        self.lines += [entry.message for entry in entries]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_settlement_waits_for_lines_that_are_being_written(*, fails: bool) -> None:
    paper = Paper()
    paper.fails = fails
    reports = Reports(cast(Any, paper), FakeClock())
    task = a_task()
    reports.add(task, Report("info", "one", {}))
    flushing = asyncio.create_task(reports.flush())
    await asyncio.sleep(0)
    taking = asyncio.create_task(reports.take({task.id}))
    for _ in range(9):
        await asyncio.sleep(0)
    assert not taking.done()
    paper.allowed.set()
    await flushing
    taken = [entry.message for entry in await taking]
    assert (paper.lines, taken) == (([], ["one"]) if fails else (["one"], []))


async def test_a_settlement_takes_the_lines_of_its_own_tasks_only() -> None:
    paper = Paper()
    paper.allowed.set()
    reports = Reports(cast(Any, paper), FakeClock())
    settled, running = a_task(), a_task()
    for task, line in ((running, "one"), (settled, "two"), (running, "three"), (settled, "four")):
        reports.add(task, Report("info", line, {}))
    assert [entry.message for entry in await reports.take({settled.id})] == ["two", "four"]
    await reports.flush()
    assert paper.lines == ["one", "three"]
