"""What every test of a use case is given."""

from __future__ import annotations

import pytest

from cueline.application import link
from tests.harness import Harness
from tests.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away is asked again almost at once."""
    monkeypatch.setattr(link, "PROBE_DISTANCE", 0.001)


@pytest.fixture
def h() -> Harness:
    """An application on memory adapters, with no worker yet."""
    return Harness()
