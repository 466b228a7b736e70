"""Ending transactions of ours whose process is frozen or cut off, and which hold their locks.

The server has `idle_in_transaction_session_timeout` for this, but that does not see a session which
waits for the second half of a statement, as while one is being prepared: it counts as active.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from cueline.domain.errors import Unavailable
from cueline.infrastructure.sql.postgres.lines import Lines, driving

log = logging.getLogger(__name__)

APPLICATION = "cueline"
"""What our sessions call themselves."""

STALLED = timedelta(seconds=10)
"""How long a transaction may wait for its process. Ours take milliseconds."""

SWEEP_INTERVAL = 2.0
"""How often stalled transactions are looked for, in seconds."""

_END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
        AND application_name = $1
        AND xact_start IS NOT NULL AND state <> 'idle'
        AND wait_event IN ('ClientRead', 'ClientWrite')
        AND state_change < clock_timestamp() - $2::interval
"""


async def end_stalled(lines: Lines, stalled: timedelta = STALLED) -> int:
    """End those that have waited for so long; how many there were. `Unavailable` as ever."""
    with driving():
        async with lines.line() as line:
            ended = len(await line.driver.fetch(_END, APPLICATION, stalled))
    if ended:
        log.warning("%d transactions were ended whose process said nothing more", ended)
    return ended


async def end_stalled_forever(lines: Lines) -> None:
    """Look for them again and again. Every process does: the one that is frozen cannot."""
    while True:
        await asyncio.sleep(SWEEP_INTERVAL)
        try:
            await end_stalled(lines)
        except Unavailable as error:
            log.debug("stalled transactions are not looked for: %s", error)
