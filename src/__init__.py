"""Cueline: background tasks and durable workflows. Each step's end is the next one's cue."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cueline.app import App, RunRef, TaskFailed, TaskHandle, TaskRef
    from cueline.application.context import Context, Snooze
    from cueline.application.ports.http import HttpRejected, HttpUnavailable
    from cueline.application.ports.mail import Attachment, Email, MailRejected, MailUnavailable
    from cueline.application.ports.pdf import PdfRejected
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

_HOMES = {
    "cueline.app": ("App", "RunRef", "TaskFailed", "TaskHandle", "TaskRef"),
    "cueline.application.context": ("Context", "Snooze"),
    "cueline.application.ports.http": ("HttpRejected", "HttpUnavailable"),
    "cueline.application.ports.mail": ("Attachment", "Email", "MailRejected", "MailUnavailable"),
    "cueline.application.ports.pdf": ("PdfRejected",),
    "cueline.domain.errors": (
        "Conflict",
        "CuelineError",
        "HandlerError",
        "IllegalTransition",
        "InvalidDefinition",
        "InvalidInput",
        "KeyReused",
        "NotFound",
        "PermanentError",
        "Unavailable",
    ),
    "cueline.domain.retry": ("RetryPolicy", "exponential", "fixed", "linear"),
}
"""Where each name lives; it is imported when it is first asked for (PEP 562)."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "App",
    "Attachment",
    "Conflict",
    "Context",
    "CuelineError",
    "Email",
    "HandlerError",
    "HttpRejected",
    "HttpUnavailable",
    "IllegalTransition",
    "InvalidDefinition",
    "InvalidInput",
    "KeyReused",
    "MailRejected",
    "MailUnavailable",
    "NotFound",
    "PdfRejected",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
