"""Cueline: background tasks and durable workflows. Each step's end is the next one's cue."""

from __future__ import annotations

from cueline.app import App, RunRef, TaskFailed, TaskHandle, TaskRef
from cueline.application.context import Context, Snooze
from cueline.application.ports.mail import Attachment, Email
from cueline.domain.errors import (
    Conflict,
    CuelineError,
    HandlerError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    PermanentError,
    Unavailable,
)
from cueline.domain.retry import RetryPolicy, exponential, fixed, linear

__version__ = "0.1.0"

__all__ = [
    "App",
    "Attachment",
    "Conflict",
    "Context",
    "CuelineError",
    "Email",
    "HandlerError",
    "IllegalTransition",
    "InvalidDefinition",
    "InvalidInput",
    "KeyReused",
    "NotFound",
    "PermanentError",
    "RetryPolicy",
    "RunRef",
    "Snooze",
    "TaskFailed",
    "TaskHandle",
    "TaskRef",
    "Unavailable",
    "exponential",
    "fixed",
    "linear",
]
