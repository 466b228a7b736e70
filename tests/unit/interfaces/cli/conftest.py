"""What every test of the command line is given."""

from __future__ import annotations

import pytest

from cueline.interfaces.cli import screen
from cueline.interfaces.cli.watching import follow
from tests.harness import Harness
from tests.unit.interfaces.cli.command_line import CommandLine


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line on an application in memory."""
    monkeypatch.setattr(follow, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(follow, "SETTLE", 0.0)
    return CommandLine(Harness())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stdout pass for a terminal."""
    monkeypatch.setattr(screen, "is_terminal", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
