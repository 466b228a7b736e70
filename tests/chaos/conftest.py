"""The servers and the workers' nursery for the short table, and the table itself at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.chaos.figures import CAPTION, heading
from tests.chaos.places import Places
from tests.chaos.workers import Nursery
from tests.integration.servers.absence import out_of_reach
from tests.integration.servers.choice import NoServer

LINES = pytest.StashKey[list[str]]()
"""The rows of the table that have been run."""


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    if lines := config.stash.get(LINES, []):
        for line in (heading(), *lines, *CAPTION.splitlines()):
            terminalreporter.write_line(line)


@pytest.fixture
def lines(pytestconfig: pytest.Config) -> list[str]:
    """Where a row's line is put."""
    return pytestconfig.stash.setdefault(LINES, [])


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def places() -> AsyncIterator[Places]:
    async with AsyncExitStack() as stack:
        try:
            places = await stack.enter_async_context(Places())
        except NoServer as error:
            out_of_reach(str(error))
        yield places
