"""Events as bytes, for channels between processes.

A payload is a head and a JSON array of events:

    1 4f6c…e2 1 [["task","0199…",7,"status","2026-03-01T12:00:00+00:00",{"state":"queued"}],…]

The head names the form, the process that sends, and whether that process watches (1) or not (0).
It can be read without the rest, so that a process which nobody watches pays next to nothing for
what others tell one another.

What comes from a channel is believed only as far as it goes: it is news for a screen. It is never
executed, stored or decided by, and what does not look like an event of ours is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from cueline.domain.events import Event, Subject
from cueline.domain.json import JsonObject

VERSION: Final = 1
"""The form of the bytes. Another form is malformed to us."""

NO_EVENTS: Final = b"[]"
"""The body of a payload that has only its head to tell."""

_COLUMNS: Final = 6
_LONGEST_WORD: Final = 200
_HEAD = re.compile(rf"{VERSION} ([0-9a-f]{{32}}) ([01]) ".encode())


class MalformedPayload(ValueError):
    """Bytes that are no events of ours."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What one process tells the others: who it is, whether it watches, and its events unread."""

    sender: str
    is_watching: bool
    body: bytes

    def encode(self) -> bytes:
        """The payload as bytes."""
        return b"%d %s %d %s" % (VERSION, self.sender.encode(), self.is_watching, self.body)

    @classmethod
    def decode(cls, payload: bytes) -> Payload:
        """The payload that bytes hold; `MalformedPayload` if they hold none."""
        head = _HEAD.match(payload)
        if head is None:
            raise MalformedPayload(f"no head of version {VERSION}: {payload[:40]!r}")
        return cls(head[1].decode(), head[2] == b"1", payload[head.end() :])

    def events(self, about: Container[str]) -> list[Event]:
        """Read the events about these tasks and runs; `MalformedPayload` if one of them is none."""
        try:
            rows: object = orjson.loads(self.body)
            if isinstance(rows, list):
                return [_event(row) for row in rows if _subject_id(row) in about]
        except ValueError as error:
            raise MalformedPayload(f"{error}: {self.body[:40]!r}") from error
        raise MalformedPayload(f"not an array: {self.body[:40]!r}")


def encode_event(event: Event, largest: int) -> bytes:
    """One event as it stands in the array.

    One of more than `largest` bytes goes without its data: who hears it looks for itself. Raises
    `ValueError` for one that is too large even so, and for data that JSON cannot say.
    """
    encoded = _row(event, event.data)
    if len(encoded) > largest:
        encoded = _row(event, {})
    if len(encoded) > largest:
        raise ValueError(f"an event of {len(encoded)} bytes")
    return encoded


def packed(events: Iterable[bytes], largest: int) -> Iterator[bytes]:
    """Put encoded events, in their order, into bodies of payloads of at most `largest` bytes.

    No event may be larger than `room(largest)`.
    """
    limit = room(largest)
    held: list[bytes] = []
    used = 0  # with a comma after each event
    for event in events:
        if held and used + len(event) > limit:
            yield b"[%s]" % b",".join(held)
            held, used = [], 0
        held.append(event)
        used += len(event) + 1
    if held:
        yield b"[%s]" % b",".join(held)


def room(largest: int) -> int:
    """How many bytes of events fit into a payload of at most `largest` bytes."""
    return largest - len(Payload("0" * 32, True, NO_EVENTS).encode())


def _row(event: Event, data: JsonObject) -> bytes:
    row = [event.subject, event.id, event.sequence, event.type, event.at, data]
    try:
        return orjson.dumps(row)
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from error


def _subject_id(row: object) -> str:
    """What a row is about, before the rest is looked at; `ValueError` if it is no row."""
    if isinstance(row, list) and len(row) == _COLUMNS and isinstance(row[1], str):
        return row[1]
    raise ValueError("not an event")


def _event(row: object) -> Event:
    """An event from its row; `ValueError` if it is none."""
    match row:
        case [str(subject), str(id), int(sequence), str(type), str(at), dict(data)]:
            moment = datetime.fromisoformat(at)
            if moment.tzinfo is None:
                raise ValueError("a moment without a zone")
            if isinstance(sequence, bool) or sequence < 0:
                raise ValueError("not a sequence")
            return Event(Subject(subject), id, sequence, _word(type), moment, data)
        case _:
            raise ValueError("not an event")


def _word(text: str) -> str:
    """A text that may be shown as it is; a line break could end a line of somebody's protocol."""
    if 0 < len(text) <= _LONGEST_WORD and text.isprintable():
        return text
    raise ValueError("not a name")
