"""What went wrong in an attempt, as data that can be stored, shown and decided on."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

from cueline.domain.errors import PermanentError
from cueline.domain.text import storable

LONGEST_MESSAGE = 10_000
LONGEST_TRACEBACK = 50_000


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is kept: its type's qualified name, its message and its traceback.

    `lineage` holds the names of the type and of its ancestors, bare and qualified, for a policy to
    match; it matters only while the decision is made and is not stored.
    """

    type: str
    message: str
    traceback: str = ""
    permanent: bool = False
    lineage: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception."""
        return cls(
            type=_qualified(type(error)),
            message=storable(_message(error)[:LONGEST_MESSAGE]),
            traceback=storable("".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]),
            permanent=isinstance(error, PermanentError),
            lineage=frozenset(
                name
                for ancestor in type(error).__mro__[:-1]
                for name in (
                    ancestor.__name__,
                    ancestor.__qualname__,
                    f"{ancestor.__module__}.{ancestor.__qualname__}",
                )
            ),
        )

    @classmethod
    def timed_out(cls, seconds: float) -> Failure:
        """The attempt ran longer than the task's timeout."""
        return cls(
            type="TimeoutError",
            message=f"the attempt took longer than its timeout of {seconds:g} s",
            lineage=frozenset({"TimeoutError", "builtins.TimeoutError"}),
        )

    @classmethod
    def worker_lost(cls, worker: str) -> Failure:
        """The worker vanished: whether the attempt had its effect is not known."""
        return cls(
            type="WorkerLost",
            message=(
                f"worker {worker} stopped renewing its lease; how far the attempt came is unknown"
            ),
            lineage=frozenset({"WorkerLost"}),
        )

    @property
    def summary(self) -> str:
        """Type and first line, for tables."""
        first = self.message.splitlines()[0] if self.message else ""
        return f"{self.type}: {first}" if first else self.type


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unreadable:  # noqa: BLE001 - an error's own code may raise anything
        return f"(its message cannot be read: {type(unreadable).__name__})"


def _qualified(kind: type[BaseException]) -> str:
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
