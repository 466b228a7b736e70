"""The machine's clock, and new identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cueline.infrastructure.system.clock import SystemClock
from cueline.infrastructure.system.ids import UuidGenerator


def test_the_clock_tells_the_time_in_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert before <= now <= datetime.now(UTC)


def test_identifiers_are_distinct_and_rise() -> None:
    ids = UuidGenerator()
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_an_identifier_is_a_uuid_of_version_7_in_canonical_form() -> None:
    id = UuidGenerator().new()
    assert type(id) is str
    assert UUID(id).version == 7
    assert str(UUID(id)) == id


def test_an_identifier_begins_with_the_time() -> None:
    before = datetime.now(UTC).timestamp()
    milliseconds = UUID(UuidGenerator().new()).int >> 80
    assert int(before * 1000) - 1 <= milliseconds <= datetime.now(UTC).timestamp() * 1000 + 1
