"""One attempt at a task: its handler is run, and how that ended becomes an outcome."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from cueline.application.context import Snooze
from cueline.application.outcomes import Failed, Outcome, Snoozed, Succeeded
from cueline.application.ports.runtime import Executor
from cueline.domain.failure import Failure
from cueline.interfaces.worker.held import Held

_UNLIMITED = nullcontext()


async def attempted(held: Held, executor: Executor) -> Outcome | None:
    """Run the handler and say how it ended; None if that is nobody's business any more."""
    task = held.task
    timeout = task.spec.timeout
    limit = None if timeout is None else asyncio.timeout(timeout.total_seconds())
    try:
        async with limit or _UNLIMITED:
            output = await executor.execute(task, held.context)
    except asyncio.CancelledError as error:
        if held.interruption is None:  # the handler cancelled itself
            return Failed(task, Failure.of(error))
        return held.broken_off()
    except Snooze as snooze:
        return Snoozed(task, snooze.delay)
    except BaseException as error:
        if limit is not None and timeout is not None and limit.expired():
            held.context.interruption.requested = True
            return Failed(task, Failure.timed_out(timeout.total_seconds()))
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise
        return Failed(task, Failure.of(error))
    return Succeeded(task, output)
