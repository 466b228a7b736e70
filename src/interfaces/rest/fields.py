"""Fields: the types of what a request may hold, each read by the rule of the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Required, TypeVar
from uuid import UUID

from fastapi import Header, Path
from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, ValidationInfo, with_config
from typing_extensions import TypedDict

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.identifiers import check_name
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority
from cueline.domain.workflow.document import parse_duration, parse_priority, parse_retry
from cueline.interfaces.documents.parts import DurationText, RetryDocument

T = TypeVar("T")

HIGHEST_VERSION = 2**31 - 1


class Misread(ValueError):
    """What the domain found wrong with a field, on its way through pydantic.

    The paths of its problems begin with the field's name.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


def _read_by(parse: Callable[[Json, str], T]) -> Callable[[Any, ValidationInfo], T]:
    def read(value: Any, info: ValidationInfo) -> T:
        try:
            return parse(value, info.field_name or "")
        except InvalidInput as error:
            raise Misread(error.problems) from error

    return read


def _moment(value: Json, where: str) -> datetime:
    """Read a time. One without a zone is left for the application to refuse."""
    try:
        if not isinstance(value, str):
            raise TypeError
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        wrong = Problem(where, "must be a time like 2026-01-31T08:00:00Z")
        raise InvalidInput("the time is not usable", [wrong]) from error


# --- what a document looks like -------------------------------------------------------------------

PriorityName = Literal["critical", "high", "normal", "low"]

_closed = with_config(ConfigDict(extra="forbid"))


@_closed
class CompensationDocument(TypedDict, total=False):
    """How a step is undone."""

    task: Required[str]
    input: dict[str, Any]
    retry: RetryDocument
    timeout: DurationText


@_closed
class StepDocument(TypedDict, total=False):
    """One task of a workflow; the expressions of its input say what it waits for, with `after`."""

    task: Required[str]
    input: dict[str, Any]
    after: list[str]
    compensate: CompensationDocument
    queue: str
    priority: PriorityName
    retry: RetryDocument
    timeout: DurationText


@_closed
class WorkflowDocument(TypedDict, total=False):
    """A workflow: its steps by name, and a template for the output of a run."""

    name: Required[str]
    version: int
    steps: Required[dict[str, StepDocument]]
    output: Any


# --- what a field is read as ----------------------------------------------------------------------

DurationField = Annotated[
    timedelta, PlainValidator(_read_by(parse_duration), json_schema_input_type=DurationText)
]
PriorityField = Annotated[
    Priority, PlainValidator(_read_by(parse_priority), json_schema_input_type=PriorityName)
]
RetryField = Annotated[
    RetryPolicy, PlainValidator(_read_by(parse_retry), json_schema_input_type=RetryDocument)
]
MomentField = Annotated[
    datetime, PlainValidator(_read_by(_moment), json_schema_input_type=datetime)
]


def _named(value: str) -> str:
    if problem := check_name(value, ""):
        raise ValueError(problem.message)
    return value


def _identified(value: str) -> str:
    """The id in its canonical form."""
    try:
        return str(UUID(value))
    except ValueError as error:
        raise ValueError("must be a UUID") from error


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


Name = Annotated[str, AfterValidator(_named)]
Tag = Annotated[str, AfterValidator(_without_nul), Field(max_length=100)]
Id = Annotated[str, AfterValidator(_identified), Field(json_schema_extra={"format": "uuid"})]
VersionNumber = Annotated[int, Field(strict=True, ge=1, le=HIGHEST_VERSION)]

# --- where parameters stand -----------------------------------------------------------------------

NamePath = Annotated[Name, Path()]
IdPath = Annotated[Id, Path()]
VersionPath = Annotated[int, Path(ge=1, le=HIGHEST_VERSION)]

KEY_HEADER = "Idempotency-Key"
KeyHeader = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="Makes a repeated request answer what the first one made. Same as `key`.",
    ),
]


LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last event that came: go on beyond it."),
]


def one_key(header: str | None, body: str | None) -> str | None:
    """The idempotency key, which may be given in either place, but not differently in both."""
    if header is None:
        return body
    # The header's draft standard writes the key as a quoted string, most clients do not.
    key = header[1:-1] if len(header) >= 2 and header[0] == header[-1] == '"' else header
    if body is not None and body != key:
        wrong = Problem("key", f"differs from the {KEY_HEADER} header: give one, or the same")
        raise InvalidInput("two idempotency keys are given", [wrong])
    return key


def problems_of(
    errors: Sequence[Mapping[str, Any]], *, skip: int = 0, known: Iterable[str] = ()
) -> list[Problem]:
    """What pydantic found, as problems with dotted paths; `skip` leading parts are left out.

    `known` are the fields that there are, to be named to whoever sends another.
    """
    return [problem for error in errors for problem in _found(error, error["loc"][skip:], known)]


_SHAPES = {
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "missing": "is missing",
}
"""What pydantic would say in the words of Python."""


def _found(
    error: Mapping[str, Any], place: Sequence[str | int], known: Iterable[str]
) -> list[Problem]:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Misread):
        above = _path(place[:-1])
        return [Problem(_joined(above, found.path), found.message) for found in cause.problems]
    if isinstance(cause, ValueError):
        return [Problem(_path(place), str(cause))]
    if error["type"] == "extra_forbidden":
        names = ", ".join(known)
        also = f"; the fields are: {names}" if names else ""
        return [Problem(_path(place), f"there is no such field{also}")]
    return [Problem(_path(place), _SHAPES.get(error["type"], error["msg"]))]


def _path(loc: Sequence[str | int]) -> str:
    text = ""
    for part in loc:
        text = f"{text}[{part}]" if isinstance(part, int) else _joined(text, part)
    return text


def _joined(above: str, path: str) -> str:
    return f"{above}.{path}" if above else path
