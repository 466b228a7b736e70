"""The handlers: one that works, and some that are the end of whoever runs them.

Each call leaves a line when it begins, and another if it comes to its end: `begin key attempt`.
`CHAOS_TRACE` names the file, another one for each worker.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from functools import cache
from pathlib import Path
from typing import TextIO

import cueline
from cueline import Context

app = cueline.App("chaos")

MEGABYTE = 1 << 20
STEP = 32 * MEGABYTE
MOST = 1024 * MEGABYTE
"""What a handler eats, should nobody kill it before."""

ALLOWANCE = 256 * MEGABYTE
"""How much more than it has a process may have, where a limit is set."""

POISON_ATTEMPTS = 3
POISON = cueline.fixed(attempts=POISON_ATTEMPTS, every=0.05)


@cache
def _trace() -> TextIO:
    path = Path(os.environ["CHAOS_TRACE"])
    return path.open("a", buffering=1)  # a line at a time: what ran before a kill -9 is known


def _begin(ctx: Context) -> None:
    _trace().write(f"begin {ctx.task_id} {ctx.attempt}\n")


@app.task(retry=cueline.fixed(attempts=1000, every=0.05))
async def work(ctx: Context, seconds: float) -> int:
    """Take so long. It is worth any number of attempts: that many workers may die of a fault."""
    _begin(ctx)
    await asyncio.sleep(seconds)
    _trace().write(f"end {ctx.task_id} {ctx.attempt}\n")
    return ctx.attempt


@app.task(retry=POISON)
async def vanish(ctx: Context) -> None:
    """End the process at once, as a crash in native code does."""
    _begin(ctx)
    os._exit(9)


@app.task(retry=POISON)
async def devour(ctx: Context) -> None:
    """Eat memory until somebody kills the process for it, as the kernel does."""
    _begin(ctx)
    eaten = []
    for _ in range(MOST // STEP):
        eaten.append(bytearray(b"x") * STEP)
        time.sleep(0.02)  # a handler that gobbles lets nobody else have a turn
    time.sleep(600)
    raise AssertionError(f"nobody minded {len(eaten)} pieces")


@app.task(retry=POISON)
async def overdraw(ctx: Context) -> None:
    """Eat memory until there is no more to be had: the allocation fails, the process lives."""
    _begin(ctx)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ALLOWANCE, hard))
    try:
        eaten = [bytearray(b"x") * STEP for _ in range(MOST // STEP)]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    raise AssertionError(f"{len(eaten)} pieces were to be had in spite of the limit")


@app.task(retry=POISON)
async def spin(ctx: Context) -> None:
    """Never end, and never give the event loop back."""
    _begin(ctx)
    while True:
        pass
