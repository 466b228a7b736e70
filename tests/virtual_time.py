"""Tests that sleep for no time: their event loop's clock jumps to whatever comes next.

A `conftest.py` that imports the hook has every test below it run so. It is for code that has
neither files, sockets nor threads, where real time could only make a test slow, or flaky.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from tests.simulation.loop import VirtualLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """The event loops that each test runs on, by name."""
    return {"virtual time": VirtualLoop}
