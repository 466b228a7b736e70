"""How a command ends: the one table that turns errors into exit codes and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from cueline.domain.errors import (
    Conflict,
    CuelineError,
    DefinitionChanged,
    ExpressionError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    Problem,
    Unavailable,
    UnknownTask,
    WorkerEvicted,
)


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    ENDED_BADLY = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    BUG = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141


MEANINGS: Mapping[Exit, str] = MappingProxyType(
    {
        Exit.OK: "done",
        Exit.ENDED_BADLY: "the task or run that was waited for ended badly: failed, cancelled ...",
        Exit.USAGE: "the command line was not understood",
        Exit.NOT_FOUND: "there is no such task, run, workflow ...",
        Exit.INVALID: "the input, the definition or a setting cannot be used",
        Exit.CONFLICT: "the present state does not allow it, or a key is taken",
        Exit.UNAVAILABLE: "the store or the broker does not answer, or a check of doctor failed",
        Exit.BUG: "an error that nobody expected: please report it",
        Exit.INTERRUPTED: "interrupted with Ctrl-C",
        Exit.PIPE_CLOSED: "whoever read the output went away",
    }
)


def exit_table() -> str:
    """The codes and what they mean, for `--help`."""
    return "\n".join(f"{code.value:>4}  {meaning}" for code, meaning in MEANINGS.items())


@dataclass(frozen=True, slots=True)
class Report:
    """An error as it is shown: a stable type for scripts, and what a person needs to know."""

    code: Exit
    type: str
    message: str
    problems: tuple[Problem, ...] = ()
    hint: str = ""


_KINDS: tuple[tuple[type[CuelineError], Exit, str], ...] = (
    (NotFound, Exit.NOT_FOUND, "not-found"),
    (UnknownTask, Exit.INVALID, "unknown-task"),
    (InvalidDefinition, Exit.INVALID, "invalid-definition"),
    (InvalidInput, Exit.INVALID, "invalid-input"),
    (KeyReused, Exit.CONFLICT, "key-reused"),
    (IllegalTransition, Exit.CONFLICT, "illegal-transition"),
    (DefinitionChanged, Exit.CONFLICT, "definition-changed"),
    (WorkerEvicted, Exit.CONFLICT, "worker-evicted"),
    (Conflict, Exit.CONFLICT, "conflict"),
    (Unavailable, Exit.UNAVAILABLE, "unavailable"),
    (ExpressionError, Exit.INVALID, "invalid-expression"),
    (CuelineError, Exit.INVALID, "error"),
)
"""The more special ones first. The types are those of the REST API's problems."""

_LISTS = {
    "task": "cueline tasks list",
    "run": "cueline runs list",
    "workflow": "cueline workflows list",
}


def report(error: CuelineError) -> Report:
    """Translate an error."""
    code, type = next((code, type) for kind, code, type in _KINDS if isinstance(error, kind))
    problems = error.problems if isinstance(error, InvalidInput) else ()
    message = error.summary if isinstance(error, InvalidInput) else str(error)
    return Report(code, type, message, problems, _hint(error))


def _hint(error: CuelineError) -> str:
    """What to do about it, where the message does not say so itself."""
    match error:
        case NotFound(kind=kind) if kind in _LISTS:
            return f"See what there is: {_LISTS[kind]}"
        case IllegalTransition(kind="task", identifier=id):
            return f"See why it is where it is: cueline tasks explain {id}"
        case IllegalTransition(kind="run", identifier=id):
            return f"See where it stands: cueline runs show {id}"
        case Unavailable():
            return "See what is wrong: cueline doctor"
        case _:
            return ""
