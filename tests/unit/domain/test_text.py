"""Text that every store can hold."""

from __future__ import annotations

import pytest

from cueline.domain.text import storable
from cueline.domain.worker import Worker
from tests.doubles import NOW
from tests.factories import a_worker


@pytest.mark.parametrize("text", ["", "plain", "a\nb\tc\x01", "naïve 日本 🚀", "\uffff\u2028"])
def test_most_text_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "a\\x00b"), ("\0", "\\x00"), ("é\0", "é\\x00"), ("half \udc80", "half \\udc80")],
)
def test_what_some_store_cannot_hold_is_written_out(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_a_worker_may_have_been_given_any_name() -> None:
    worker = Worker.registered(a_worker().id, "host\udcff\0", (), 1, NOW)
    assert worker.name == "host\\udcff\\x00"
