"""The application that Cueline runs in the benchmark: tasks that do nothing but note the time."""

from __future__ import annotations

import cueline
from benchmarks.subjects import handlers
from benchmarks.subjects.cueline_place import settings

app = cueline.App("benchmark", settings=settings())


@app.task
async def nothing(number: int) -> int:
    """The no-op task."""
    return handlers.nothing(number)


@app.task
async def step(number: int, place: int) -> int:
    """One of a chain's steps, by its place."""
    return handlers.step(number, place)


@app.task
async def branch(number: int, place: int) -> int:
    """One of a fan's parallel steps."""
    return handlers.branch(number, place)


@app.task
async def join(number: int) -> int:
    """The last step of a fan."""
    return handlers.join(number)


chain = app.workflow("chain")
_latest = chain.input.number
for _place in range(handlers.STEPS):
    _latest = chain.step(f"step_{_place}", step, number=_latest, place=_place).output

fan = app.workflow("fan")
_branches = [
    fan.step(f"branch_{place}", branch, number=fan.input.number, place=place)
    for place in range(handlers.BRANCHES)
]
fan.step("join", join, number=fan.input.number, after=_branches)
