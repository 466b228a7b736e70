"""What a process leaves behind for its observer, which has to survive its death.

Each entry is one write to a file: what has been written is the kernel's, however the writer ends.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cueline.application.tasks import Submitted
from cueline.domain.identifiers import RunId, TaskId

if TYPE_CHECKING:
    from tests.integration.failpoints.points import Failpoint


@dataclass(frozen=True, slots=True)
class Passed:
    """The process came by a failpoint for the first time."""

    point: Failpoint


@dataclass(frozen=True, slots=True)
class Dying:
    """The process is about to kill itself, as it was told to."""

    point: Failpoint
    at: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A client is about to ask for something."""

    label: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A client was told that what it asked for is done."""

    label: str
    answer: Submitted | RunId | None


@dataclass(frozen=True, slots=True)
class Completed:
    """A handler came to its end."""

    task_id: TaskId
    attempt: int


Entry: TypeAlias = Passed | Dying | Asked | Answered | Completed


class Record:
    """A file of entries, one writer at a time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def add(self, entry: Entry) -> None:
        """Write an entry; once this returns, no death of the process can undo it."""
        self._file.write(pickle.dumps(entry))


def entries(path: Path) -> Iterator[Entry]:
    """What was written, in order."""
    with path.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return
