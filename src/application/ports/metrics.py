"""What the service counts about itself, for those who operate it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Exposition:
    """All figures in a form that monitoring reads, and the media type of that form."""

    content_type: str
    body: bytes


class Metrics(Protocol):
    """Takes figures. It never fails and costs next to nothing; it is called for each batch."""

    def broker_answers(self, answers: bool) -> None:
        """Note whether the broker could be reached the last time that it was needed."""
        ...

    def hints_refused(self, reason: str, count: int = 1) -> None:
        """Count messages that did nothing because they cannot be believed.

        `reason` is one of a few words: `malformed`, `unknown` (no such task), `misdirected` (a task
        of a queue that the receiver does not serve).
        """
        ...

    def taken_from_store(self, count: int) -> None:
        """Count tasks that a worker took from the store without a message about them."""
        ...

    def expose(self) -> Exposition:
        """The figures as they are now."""
        ...
