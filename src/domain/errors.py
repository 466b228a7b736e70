"""The errors of Cueline: one short tree whose leaves carry facts.

Each class is one kind of answer that a caller can act on. Interfaces translate them in one table
(REST to problem details, the CLI to exit codes); nothing else should need to read their messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CuelineError(Exception):
    """Root of everything that Cueline raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where (a dotted path, `steps.charge.after[0]`), and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InvalidInput(CuelineError):
    """What was asked cannot be understood; `problems` says where and why. Nothing was stored."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.summary = message
        self.problems = tuple(problems)
        details = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{message}: {details}" if details else message)


class InvalidDefinition(InvalidInput):
    """A workflow definition that could not run; every problem found is listed."""


class NotFound(CuelineError):
    """There is no such thing under that identifier."""

    def __init__(self, kind: str, identifier: str, hint: str = "") -> None:
        self.kind = kind
        self.identifier = identifier
        super().__init__(f"there is no {kind} {identifier!r}" + (f"; {hint}" if hint else ""))


class UnknownTask(InvalidInput):
    """A task name that no application has registered."""

    def __init__(self, name: str, known: Sequence[str], path: str = "name") -> None:
        self.name = name
        names = ", ".join(sorted(known)) or "none: start a worker with --app first"
        super().__init__(
            "the task is unknown", [Problem(path, f"no task is called {name!r}; known: {names}")]
        )


class Conflict(CuelineError):
    """What was asked does not fit the present state. Repeating it unchanged will not help."""


class IllegalTransition(Conflict):
    """An event that the state does not allow, by the transition table."""

    def __init__(self, kind: str, identifier: str, state: str, event: str) -> None:
        self.kind = kind
        self.identifier = identifier
        self.state = state
        self.event = event
        super().__init__(f"{kind} {identifier} is {state}: it cannot {event}")


class KeyReused(Conflict):
    """An idempotency key that already stands for something else."""

    def __init__(self, key: str, holder: str) -> None:
        self.key = key
        self.holder = holder
        super().__init__(
            f"key {key!r} already belongs to {holder}, which was asked for differently; "
            "use a new key for a new request"
        )


class DefinitionChanged(Conflict):
    """A workflow version that is registered with other steps: a change is a new version."""

    def __init__(self, name: str, version: int) -> None:
        self.name = name
        self.version = version
        super().__init__(
            f"workflow {name!r} version {version} is registered with another definition; "
            f"register the change as version {version + 1}"
        )


class WorkerEvicted(Conflict):
    """A worker whose lease lapsed: its tasks went to others, and it must register anew."""

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        super().__init__(f"worker {worker_id} lost its lease and was evicted")


class Outdated(CuelineError):
    """What was taken for the present state is past. Nothing was written; look, and do it anew.

    Between a store and the use cases only: no caller of those ever meets it.
    """


class Unavailable(CuelineError):
    """A store, a broker or another service does not answer now. Trying again later may help."""

    def __init__(self, what: str, why: str = "") -> None:
        self.what = what
        super().__init__(f"{what} does not answer" + (f": {why}" if why else ""))


class ExpressionError(CuelineError):
    """An expression of a workflow that could not be read or evaluated."""


class HandlerError(CuelineError):
    """Root of what a handler raises to steer its own task."""


class PermanentError(HandlerError):
    """Raised by a handler to fail for good: no further attempt is made."""
