"""The application whose processes are killed, and what its clients ask for in each life."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import cueline
from cueline import Context
from cueline.application.context import Snooze
from cueline.application.tasks import Submission
from cueline.domain.json import Json
from cueline.domain.task import Priority
from tests.integration.failpoints.records import Completed, Record

app = cueline.App("shop")

DESK: list[Record] = []
"""Where handlers note that they have come to their end: the record of the present life."""

CRASHES = 30
"""How often a task may be lost with its worker before it counts as failed.

What was lost is tried again at once, so that whoever recovers it publishes it, too.
"""


@app.task(retry=cueline.fixed(attempts=CRASHES, every=0))
async def work(
    ctx: Context,
    label: str,
    seconds: float = 0,
    fails: int = 0,
    snoozes: int = 0,
    permanent: bool = False,
    lines: int = 0,
) -> dict[str, Json]:
    """Do what the input says, in the words of the simulation; answer which attempt this was."""
    for _ in range(lines):  # some are written while the task goes on, the last with its outcome
        await asyncio.sleep(0.2)
        ctx.log("still talking")
    if ctx.attempt <= snoozes:
        raise Snooze(seconds)
    if permanent:
        raise cueline.PermanentError("it says so")
    if ctx.attempt <= fails:
        raise RuntimeError("it says so")
    DESK[-1].add(Completed(ctx.task_id, ctx.attempt))
    return {"label": label, "attempt": ctx.attempt, "token": ctx.token}


good = app.workflow("good", version=1)
_first = good.step("first", work, label=good.input.label)
_left = good.step("left", work, label=_first.output.label)
_right = good.step("right", work, label=_first.output.label, fails=1)
good.step("join", work, label=_left.output.label, after=[_right])

bad = app.workflow("bad", version=1)
_reserve = bad.step(
    "reserve",
    work,
    label=bad.input.label,
    compensate=lambda step: work.call(label=step.output.label),
)
_charge = bad.step(
    "charge",
    work,
    label=_reserve.output.label,
    compensate=lambda step: work.call(label=step.output.label),
)
_pack = bad.step("pack", work, label=_reserve.output.label)
bad.step("ship", work, label=_charge.output.label, permanent=True, after=[_pack])


# --- what clients ask for -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """A task, to end in this state. With a key the wish is repeated until it is answered."""

    submission: Submission
    end: str = "succeeded"


@dataclass(frozen=True, slots=True)
class Start:
    """A run of a workflow, to end in this state."""

    workflow: str
    end: str


Wish: TypeAlias = Submit | Start


def wishes(life: str) -> Iterator[tuple[str, Wish]]:
    """A handful of everything, by labels that no other life has."""
    yield f"{life}/plain", Submit(_submission(f"{life}/plain", keyed=False))
    yield f"{life}/delayed", Submit(_submission(f"{life}/delayed", delay=0.2))
    yield f"{life}/stumbling", Submit(_submission(f"{life}/stumbling", fails=1))
    yield f"{life}/snoozing", Submit(_submission(f"{life}/snoozing", snoozes=1, seconds=0.05))
    yield f"{life}/talking", Submit(_submission(f"{life}/talking", lines=5))
    yield f"{life}/doomed", Submit(_submission(f"{life}/doomed", permanent=True), "failed")
    for priority in (Priority.LOW, Priority.CRITICAL):
        label = f"{life}/{priority.label}"
        yield label, Submit(_submission(label, priority=priority))
    yield f"{life}/good", Start("good", "succeeded")
    yield f"{life}/bad", Start("bad", "compensated")


def _submission(
    label: str,
    *,
    keyed: bool = True,
    delay: float | None = None,
    priority: Priority | None = None,
    **input: Json,
) -> Submission:
    return Submission(
        "work",
        {"label": label, **input},
        priority=priority,
        delay=None if delay is None else timedelta(seconds=delay),
        key=label if keyed else None,
    )


def has_key(wish: Wish) -> bool:
    """Whether asking again is safe."""
    return isinstance(wish, Start) or wish.submission.key is not None
