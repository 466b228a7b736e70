"""Retries of I/O: the one module that knows how. They are named, logged, bounded and reraised.

Not to be confused with the retries of tasks, which are a rule (`domain/retry.py`) and never slept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

log = logging.getLogger(__name__)

SHORTEST, LONGEST = timedelta(milliseconds=20), timedelta(seconds=2)


def retrying(
    what: str, *, when: Callable[[BaseException], bool], within: timedelta
) -> AsyncRetrying:
    """Try `what` again while it fails in a way that may pass, at growing distances, for so long.

    Use as `async for attempt in retrying(...): with attempt: ...`. The last error is reraised.
    """

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        log.warning("cannot %s yet (attempt %d): %s", what, state.attempt_number, error)

    return AsyncRetrying(
        retry=retry_if_exception(when),
        wait=wait_exponential_jitter(
            multiplier=SHORTEST.total_seconds(), max=LONGEST.total_seconds()
        ),
        stop=stop_after_delay(within),
        before_sleep=tell,
        reraise=True,
    )
