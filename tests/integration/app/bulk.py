"""Handlers for great numbers of tasks, which leave a trace of a line each.

`EFFECTS` names the file; each process appends to one of its own beside it.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path
from typing import TextIO

import cueline
from cueline import Context

app = cueline.App("bulk")


@cache
def _trace() -> TextIO:
    path = Path(f"{os.environ['EFFECTS']}.{os.getpid()}")
    return path.open("a", buffering=1)  # a line at a time: what ran before a kill -9 is known


@app.task(retry=cueline.fixed(attempts=20, every=0.05))
async def count(number: int, seconds: float = 0) -> int:
    """Leave a trace of a number, and take so long."""
    await asyncio.sleep(seconds)
    _trace().write(f"{number}\n")
    return number


@app.task(retry=cueline.fixed(attempts=3, every=0.05), timeout="5m")
async def last(ctx: Context, seconds: float) -> int:
    """Take so long."""
    _trace().write("begin\n")
    await asyncio.sleep(seconds)
    return ctx.attempt
