"""Submitting in bulk, for all that can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

BULK = 1000
"""How many tasks are submitted in one call."""

CALLERS = 2
"""How many submit at the same time: while a server writes one batch, the next can be prepared."""


async def in_bulk(submit: Callable[[range], Awaitable[object]], numbers: range) -> None:
    """Have a range of numbers submitted, batch by batch."""

    async def every_other(first: int) -> None:
        for start in range(first * BULK, len(numbers), CALLERS * BULK):
            await submit(numbers[start : start + BULK])

    await asyncio.gather(*map(every_other, range(CALLERS)))
