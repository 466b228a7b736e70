"""Messages as bytes, for brokers outside the process.

What comes from a broker is believed only as far as it goes: it names a task. Nothing in it is ever
executed, looked up by more than an identifier, or echoed without being quoted.
"""

from __future__ import annotations

import re

from cueline.application.ports.broker import Message
from cueline.domain.identifiers import NAME_PATTERN, TaskId
from cueline.domain.task import Priority

VERSION = 1
"""The form of the bytes. Another form is malformed to us; the store brings its task up again."""

_HINT = re.compile(
    rf"{VERSION} "
    r"(?P<task>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}) "
    rf"(?P<priority>[{min(Priority)}-{max(Priority)}]) "
    rf"(?P<queue>{NAME_PATTERN.pattern})".encode()
)


class MalformedHint(ValueError):
    """Bytes that are no hint of ours."""


def encode(message: Message) -> bytes:
    """A message as bytes: version, task, priority and queue."""
    return f"{VERSION} {message.task_id} {message.priority:d} {message.queue}".encode()


def checked(task: str, queue: str, priority: int) -> Message:
    """The message that a row of a table holds; `MalformedHint` if it holds none."""
    return decode(f"{VERSION} {task} {priority} {queue}".encode())


def decode(hint: bytes) -> Message:
    """The message that bytes hold; `MalformedHint` if they hold none."""
    found = _HINT.fullmatch(hint)
    if found is None:
        raise MalformedHint(f"not a hint of version {VERSION}: {hint[:40]!r}")
    task, priority, queue = found.groups()
    return Message(TaskId(task.decode()), queue.decode(), Priority(int(priority)))
