"""What is measured: a task that does nothing, and a chain of four of them."""

from __future__ import annotations

import time

import cueline
from cueline import Context

app = cueline.App("benchmark")

started: list[float] = []
"""When each handler of this process began, by the performance counter."""


@app.task
async def nothing(ctx: Context, number: int) -> int:
    """Note the time and answer the number."""
    started.append(time.perf_counter())
    return number


chain = app.workflow("chain")
first = chain.step("first", nothing, number=1)
second = chain.step("second", nothing, number=first.output)
third = chain.step("third", nothing, number=second.output)
fourth = chain.step("fourth", nothing, number=third.output)
