"""What every test of the worker is given."""

from __future__ import annotations

import pytest

from cueline.interfaces.worker import loops, worker
from tests.unit.interfaces.worker.workshop import Workshop


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All waiting is short; a heartbeat comes every 3 ms."""
    monkeypatch.setattr(worker, "PAUSE", 0.002)
    monkeypatch.setattr(worker, "FLUSH_INTERVAL", 0.002)
    monkeypatch.setattr(worker, "BEATS_PER_LEASE", 5000)
    monkeypatch.setattr(worker, "RELEASE_PATIENCE", 0.05)
    monkeypatch.setattr(loops, "PAUSE", 0.002)
    monkeypatch.setattr(loops, "IDLE_PASS", 0.005)
    monkeypatch.setattr(loops, "BUSY_PASS", 0.001)
    monkeypatch.setattr(loops, "BATCH_WAIT", 0.001)
    monkeypatch.setattr(loops, "MAINTENANCE_INTERVAL", 0.002)


@pytest.fixture
def shop() -> Workshop:
    """A process whose handlers the test sets."""
    return Workshop()
