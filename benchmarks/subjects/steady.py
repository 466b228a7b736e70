"""Submits that come at a steady rate, whether or not the former have been answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from benchmarks.subjects.handlers import ledger


async def steadily(
    submit: Callable[[int], Awaitable[None]], numbers: range, a_second: float
) -> None:
    """Submit each at its time, and note that time: a sender who is late does not hide a wait."""
    begin = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for place, number in enumerate(numbers):
            due = begin + place / a_second
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            ledger().submitted(number, at=due)
            group.create_task(_answered(submit(number)))


async def _answered(submitting: Awaitable[None]) -> None:
    await submitting
