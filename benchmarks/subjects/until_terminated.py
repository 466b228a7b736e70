"""Waiting for SIGTERM, for those systems whose worker does not listen for it by itself."""

from __future__ import annotations

import asyncio
import signal


def block_terminate() -> None:
    """Hold SIGTERM back in this thread and in all that it starts from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def wait_for_terminate() -> None:
    """Wait until a SIGTERM that is held back has come."""
    signal.sigwait({signal.SIGTERM})


async def terminated() -> None:
    """Wait until SIGTERM has come, in an event loop."""
    came = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, came.set)
    await came.wait()
