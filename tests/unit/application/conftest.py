"""What every test of a use case is given."""

from __future__ import annotations

import pytest

from tests.harness import Harness


@pytest.fixture
def h() -> Harness:
    """An application on memory adapters, with no worker yet."""
    return Harness()
