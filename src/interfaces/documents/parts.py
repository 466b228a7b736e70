"""What several documents hold: errors, progress, retry policies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from cueline.application.ports.journal import LogEntry
from cueline.domain.failure import Failure
from cueline.domain.retry import RetryPolicy
from cueline.domain.workflow.document import retry_document

DurationText = Annotated[
    str | float, Field(description="`30s`, `1m30s`, `2h`, `500ms`, `7d`, or a number of seconds.")
]


class ErrorDocument(TypedDict):
    """What went wrong."""

    type: str
    message: str
    traceback: str


class ProgressDocument(TypedDict):
    """How far an attempt has come, by its own report."""

    percent: float | None
    message: str
    at: datetime


@with_config(ConfigDict(extra="forbid"))
class RetryDocument(TypedDict, total=False):
    """When a failed attempt is followed by another; what is left out is standard."""

    attempts: int
    backoff: Literal["fixed", "linear", "exponential"]
    first: DurationText
    factor: float
    cap: DurationText
    jitter: float
    permanent: list[str]


def error_document(failure: Failure | None) -> ErrorDocument | None:
    """Show what went wrong, if anything did."""
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback}


def progress_document(entry: LogEntry | None) -> ProgressDocument | None:
    """Show reported progress, if there is any."""
    if entry is None:
        return None
    percent = entry.fields.get("percent")
    return {
        "percent": float(percent) if isinstance(percent, (int, float)) else None,
        "message": entry.message,
        "at": entry.at,
    }


def shown_retry(policy: RetryPolicy) -> RetryDocument:
    """Show a retry policy, complete."""
    return cast(RetryDocument, retry_document(policy))
