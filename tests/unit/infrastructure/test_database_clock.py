"""The database's clock: as far off as the database's is, and steady between two measurements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cueline.infrastructure.sql.postgres.clock import KEEP, DatabaseClock
from tests.doubles import NOW

SECOND = timedelta(seconds=1)


class Machine:
    """A machine with a monotonic clock, and a database whose clock begins at `NOW`."""

    def __init__(self) -> None:
        self.uptime = 1000.0
        self.database = NOW
        self.clock = DatabaseClock(lambda: self.uptime)

    def wait(self, seconds: float) -> None:
        self.uptime += seconds
        self.database += timedelta(seconds=seconds)

    def measure(self, there: float = 0.001, back: float = 0.001) -> None:
        """Ask the database; the question and the answer take so many seconds on their way."""
        asked = self.uptime
        self.wait(there)
        moment = self.database
        self.wait(back)
        self.clock.measured(moment, asked, self.uptime)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_before_any_measurement_it_tells_this_machine_s_time(machine: Machine) -> None:
    before = datetime.now(UTC)
    assert before <= machine.clock.now() <= datetime.now(UTC)


@pytest.mark.parametrize("off", [timedelta(minutes=-7), timedelta(0), timedelta(minutes=7)])
def test_it_tells_the_database_s_time_however_far_off_that_is(
    machine: Machine, off: timedelta
) -> None:
    machine.database = datetime.now(UTC) + off
    machine.measure()
    machine.wait(3600)
    assert machine.clock.now() == machine.database


def test_it_is_wrong_by_half_of_the_way_at_most(machine: Machine) -> None:
    machine.measure(there=0.4, back=0.0)
    assert abs(machine.clock.now() - machine.database) <= timedelta(seconds=0.2)


def test_a_quick_answer_is_preferred_to_a_slow_one_whichever_comes_first(machine: Machine) -> None:
    machine.measure(there=2.0, back=0.0)
    machine.wait(15)
    machine.measure()
    assert machine.clock.now() == machine.database
    machine.wait(15)
    machine.measure(there=2.0, back=0.0)
    assert machine.clock.now() == machine.database


def test_an_old_measurement_gives_way_to_a_slow_one(machine: Machine) -> None:
    machine.measure()
    machine.wait(KEEP.total_seconds() + 1)
    machine.measure(there=2.0, back=0.0)
    assert machine.clock.now() == machine.database + SECOND


@pytest.mark.parametrize("step", [timedelta(minutes=-5), timedelta(minutes=5)])
@pytest.mark.parametrize("way", [0.001, 0.5])
def test_a_database_whose_clock_is_set_is_followed_at_once(
    machine: Machine, step: timedelta, way: float
) -> None:
    machine.measure()
    machine.wait(15)
    machine.database += step
    machine.measure(there=way, back=way)
    assert machine.clock.now() == machine.database


def test_a_drift_is_followed(machine: Machine) -> None:
    for _ in range(100):
        machine.measure()
        machine.wait(15)
        machine.database += timedelta(milliseconds=1)
    machine.measure()
    assert abs(machine.clock.now() - machine.database) <= timedelta(milliseconds=5)
