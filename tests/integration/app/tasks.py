"""Handlers that leave a trace in a file, so that a test in another process can see what ran.

`EFFECTS` names the file; each line is one effect: `name key attempt`. A handler waits while there
is a file `EFFECTS.hold-NAME`.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import cueline
from cueline import Context

app = cueline.App("trace")

EFFECTS = Path(os.environ.get("EFFECTS", "effects.txt"))


def _leave_trace(ctx: Context, name: str) -> None:
    with EFFECTS.open("a") as file:
        file.write(f"{name} {ctx.idempotency_key} {ctx.attempt}\n")


def _is_held(name: str) -> bool:
    return Path(f"{EFFECTS}.hold-{name}").exists()


@app.task(retry=cueline.fixed(attempts=5, every=0.05))
async def work(ctx: Context, name: str) -> dict[str, str]:
    """Leave a trace on beginning, wait while held, leave another."""
    _leave_trace(ctx, f"begin-{name}")
    ctx.log("working", name=name)
    while _is_held(name):  # noqa: ASYNC110  # the signal comes from another process
        await asyncio.sleep(0.02)
    _leave_trace(ctx, name)
    return {"name": name}


@app.task
def block(ctx: Context, name: str) -> str:
    """Like `work`, in a thread that cannot be interrupted and heeds the flag."""
    _leave_trace(ctx, f"begin-{name}")
    while _is_held(name) and not ctx.cancelled:
        time.sleep(0.02)
    _leave_trace(ctx, name)
    return name


@app.task(retry=cueline.fixed(attempts=3, every=0.05))
async def fail(ctx: Context, times: int) -> int:
    """Fail so many times, then succeed."""
    if ctx.attempt <= times:
        raise ValueError(f"failure {ctx.attempt}")
    return ctx.attempt


@app.task(timeout=0.2, retry=cueline.fixed(attempts=2, every=0.05))
async def too_slow(ctx: Context) -> None:
    """Take longer than allowed."""
    _leave_trace(ctx, "slow")
    await asyncio.sleep(60)


chain = app.workflow("chain", version=1)
first = chain.step("first", work, name="first")
second = chain.step("second", work, name="second", after=[first])
left = chain.step("left", work, name="left", after=[second])
right = chain.step("right", work, name="right", after=[second])
last = chain.step("last", work, name="last", after=[left, right])
chain.returns({"last": last.output.name})
