"""The loops that keep things going: dispatching and maintenance."""

from __future__ import annotations

import asyncio
import logging

from cueline.application.application import Application
from cueline.application.dispatch import RELIEF
from cueline.domain.errors import Unavailable

log = logging.getLogger(__name__)

IDLE_PASS = 0.5
"""How long the dispatcher rests when nothing is due, in seconds: other processes submit too."""

BUSY_PASS = 0.01
"""How long it rests at first while a backlog waits for room; it doubles while nothing moves."""

BATCH_WAIT = 0.005
"""How long it lets room gather while there is a backlog, in seconds."""

MAINTENANCE_INTERVAL = 1.0
"""How often lapsed leases are looked for, in seconds."""

PAUSE = 1.0


async def dispatch_forever(application: Application) -> None:
    """Dispatch whenever the bell rings, something falls due, or time has passed."""
    busy = BUSY_PASS
    while True:
        try:
            done = await application.dispatch()
        except Unavailable as error:
            log.warning("cannot dispatch: %s", error)
            await asyncio.sleep(PAUSE)
            continue
        except Exception:
            log.exception("dispatching failed")
            await asyncio.sleep(PAUSE)
            continue
        rest = IDLE_PASS
        if done.waiting:
            longest = RELIEF.total_seconds() if done.relieved else IDLE_PASS
            busy = rest = BUSY_PASS if done.count else min(busy * 2, longest)
        if done.next_due is not None:
            ahead = (done.next_due - application.clock.now()).total_seconds()
            rest = min(rest, max(ahead, 0.0))
        await application.backlog.wait(rest)
        if done.waiting:  # room opens slot by slot: let some gather
            await asyncio.sleep(BATCH_WAIT)


async def maintain_forever(application: Application) -> None:
    """Evict lost workers and recover their tasks, again and again."""
    while True:
        try:
            done = await application.maintain()
            if done.recovered:
                log.warning("%d tasks of lost workers were recovered", done.recovered)
        except Unavailable as error:
            log.warning("no maintenance: %s", error)
        except Exception:
            log.exception("maintenance failed")
        await asyncio.sleep(MAINTENANCE_INTERVAL)
