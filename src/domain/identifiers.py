"""The names by which things are known.

Identifiers are UUIDs in their canonical text form. Those that stand for something new are version 7
(their first 48 bits are the creation time, which keeps neighbours together in an index) and come
from the `IdGenerator` port. The identifier of a workflow step's task is not new but *derived*, so
that starting the same step twice collides on the primary key instead of running twice.
"""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import blake2b
from typing import NewType

from cueline.domain.errors import InvalidInput, Problem

TaskId = NewType("TaskId", str)
RunId = NewType("RunId", str)
WorkerId = NewType("WorkerId", str)

NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,99}")
"""What tasks, queues and workflows may be called."""


class Purpose(StrEnum):
    """Why a step has a task: to do its work, or to undo it."""

    WORK = "work"
    UNDO = "undo"


def step_task_id(run_id: RunId, step: str, purpose: Purpose) -> TaskId:
    """Derive the id of the one task that does (or undoes) a step of a run.

    The result is a version 8 UUID (RFC 9562, section 5.8): the run's own 48-bit timestamp, which
    keeps a run's tasks together in an index, followed by a hash of run, step and purpose.
    """
    digits = blake2b(f"{run_id}/{purpose}/{step}".encode(), digest_size=10).hexdigest()
    variant = "89ab"[int(digits[4], 16) % 4]
    time, version = run_id[:13], "8"
    return TaskId(f"{time}-{version}{digits[1:4]}-{variant}{digits[5:8]}-{digits[8:]}")


def check_name(value: str, path: str) -> Problem | None:
    """Say what is wrong with a name, or nothing."""
    if NAME_PATTERN.fullmatch(value):
        return None
    return Problem(
        path,
        f"{value[:120]!r} is not a name: use a letter, "
        "then up to 99 letters, digits, '_', '-' or '.'",
    )


def check_text(value: str, path: str, longest: int) -> Problem | None:
    """Say what keeps a short text that users choose from being kept, or nothing."""
    if not 1 <= len(value) <= longest:
        return Problem(path, f"use 1 to {longest} characters")
    if "\0" in value or not value.isprintable():
        return Problem(path, "use printable characters only")
    return None


def require_name(value: str, path: str) -> str:
    """Return the name, or raise `InvalidInput` that says where it stands and what is wrong."""
    if problem := check_name(value, path):
        raise InvalidInput(f"the {path} is not usable", [problem])
    return value
