"""Retries of I/O: the one module that knows how. They are named, logged and reraised.

Not to be confused with the retries of tasks, which are a rule (`domain/retry.py`) and never slept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    stop_never,
    wait_exponential_jitter,
)

log = logging.getLogger(__name__)

Retrying: TypeAlias = AsyncRetrying

SHORTEST, LONGEST = timedelta(milliseconds=20), timedelta(seconds=2)


def retrying(
    what: str,
    *,
    when: Callable[[BaseException], bool],
    within: timedelta | None,
    stop: asyncio.Event | None = None,
) -> Retrying:
    """Try `what` again while it fails in a way that may pass, at growing distances, for so long.

    Without a limit (None) it goes on for ever, or until `stop` is set. Use as
    `async for attempt in retrying(...): with attempt: ...`. The last error is reraised.
    """
    stopping = stop or asyncio.Event()
    limit = stop_never if within is None else stop_after_delay(within)

    def is_over(state: RetryCallState) -> bool:
        return stopping.is_set() or limit(state)

    def tell(state: RetryCallState) -> None:
        # The 1st, 2nd, 4th, 8th ... failure, so that a long absence does not fill the log.
        rare = state.attempt_number & (state.attempt_number - 1) == 0
        error = state.outcome.exception() if state.outcome is not None else None
        log.log(
            logging.WARNING if rare else logging.DEBUG,
            "cannot %s yet (attempt %d): %s",
            what,
            state.attempt_number,
            str(error) or type(error).__name__,
        )

    async def sleep(seconds: float) -> None:
        waiting = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait([waiting], timeout=seconds)
        finally:
            waiting.cancel()

    return AsyncRetrying(
        retry=retry_if_exception(when),
        wait=wait_exponential_jitter(
            multiplier=SHORTEST.total_seconds(), max=LONGEST.total_seconds()
        ),
        stop=is_over,
        sleep=sleep,
        before_sleep=tell,
        reraise=True,
    )
