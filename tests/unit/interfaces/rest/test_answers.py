from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from cueline.domain.task import TaskState
from cueline.interfaces.rest.answers import encode


def test_what_the_domain_holds_read_only_is_written_as_json() -> None:
    document = {
        "mapping": MappingProxyType({"a": 1}),
        "tuple": (1, 2),
        "range": range(2),
        "set": frozenset({"x"}),
        "state": TaskState.QUEUED,
    }

    assert encode(document) == (
        b'{"mapping":{"a":1},"tuple":[1,2],"range":[0,1],"set":["x"],"state":"queued"}'
    )


def test_times_are_written_with_a_z_and_no_more_digits_than_needed() -> None:
    assert encode(datetime(2026, 3, 1, 12, tzinfo=UTC)) == b'"2026-03-01T12:00:00Z"'
    assert encode(datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)) == (
        b'"2026-03-01T12:00:00.000005Z"'
    )


def test_what_has_no_form_in_json_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="object"):
        encode({"value": object()})
