"""Messages as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cueline.application.ports.broker import Message
from cueline.domain.task import Priority
from cueline.infrastructure.hints import MalformedHint, decode, encode
from tests.factories import a_task_id

ID = "01a20182-4e6f-7250-8969-c2e37e33c2f9"


@pytest.mark.parametrize("priority", Priority)
def test_a_hint_that_is_written_reads_back_the_same(priority: Priority) -> None:
    message = Message(a_task_id(), "a-queue.of_9", priority)
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "hint",
    [
        b"",
        b"\xff\xfe\x00",
        f"0 {ID} 1 default".encode(),
        f"2 {ID} 1 default".encode(),
        f"1 {ID} 4 default".encode(),
        f"1 {ID} -1 default".encode(),
        f"1 {ID.upper()} 1 default".encode(),
        f"1 {ID[:-1]} 1 default".encode(),
        f"1 {ID} 1 {'q' * 101}".encode(),
        f"1 {ID} 1 default\n".encode(),
        f"1 {ID} 1 default more".encode(),
        f"1 {ID} 1 'drop table'".encode(),
        b'{"task_id": "' + ID.encode() + b'"}',
        b"\x80\x04\x95",  # a pickle
    ],
)
def test_bytes_that_are_no_hint_are_malformed(hint: bytes) -> None:
    with pytest.raises(MalformedHint):
        decode(hint)


@given(st.binary())
def test_any_bytes_are_a_hint_or_malformed_and_nothing_else(hint: bytes) -> None:
    try:
        message = decode(hint)
    except MalformedHint:
        return
    assert encode(message) == hint
