"""What a handler is given beside its input: who it is, and what it may use and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from cueline.application.ports.http import HttpClient
from cueline.application.ports.mail import Mailer
from cueline.application.ports.pdf import PdfRenderer
from cueline.domain.duration import Duration, duration
from cueline.domain.errors import HandlerError, InvalidInput
from cueline.domain.identifiers import RunId, TaskId, check_text
from cueline.domain.json import Json, require_json
from cueline.domain.task import Task
from cueline.domain.text import storable


class Snooze(HandlerError):
    """Raised by a handler to be called again later. The attempt is not charged."""

    def __init__(self, delay: Duration) -> None:
        self.delay: timedelta = duration(delay, "snooze")
        super().__init__(f"snoozed for {self.delay}")


@dataclass(frozen=True, slots=True)
class Integrations:
    """The outside services that handlers may use; opened and closed with the process."""

    http: HttpClient
    mail: Mailer
    pdf: PdfRenderer


@dataclass(frozen=True, slots=True)
class Report:
    """A log line or a step of progress, on its way to the journal."""

    level: str
    message: str
    fields: dict[str, Json]


LONGEST_LEVEL = 20


@dataclass(slots=True)
class Interruption:
    """A flag that tells a handler to stop; it is raised once and never lowered."""

    requested: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """One attempt at a task, as its handler sees it.

    A handler runs *at least* once: a worker may vanish after the effect and before the report. Give
    `idempotency_key` (the same for every attempt) to whatever must not do a thing twice, and
    `token` (higher for every later attempt) to whatever must refuse a handler that was replaced.

    `progress` and `log` may be called from any thread and never wait.
    """

    task_id: TaskId
    name: str
    attempt: int
    idempotency_key: str
    token: int
    integrations: Integrations
    run_id: RunId | None = None
    step: str | None = None
    report: Callable[[Report], None] = field(repr=False, default=lambda _: None)
    interruption: Interruption = field(repr=False, default_factory=Interruption)

    @classmethod
    def of(
        cls, task: Task, integrations: Integrations, report: Callable[[Report], None]
    ) -> Context:
        """The context of the attempt that has just been claimed."""
        origin = task.spec.origin
        return cls(
            task_id=task.id,
            name=task.spec.name,
            attempt=task.attempt,
            idempotency_key=str(task.id),
            token=task.version,
            integrations=integrations,
            run_id=origin.run_id if origin else None,
            step=origin.step if origin else None,
            report=report,
        )

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer wanted: cancelled, timed out, or the worker shuts down.

        A handler in a thread cannot be interrupted; one that takes long should look here.
        """
        return self.interruption.requested

    @property
    def http(self) -> HttpClient:
        """A shared HTTP client."""
        return self.integrations.http

    @property
    def mail(self) -> Mailer:
        """Sends e-mail through the configured server."""
        return self.integrations.mail

    @property
    def pdf(self) -> PdfRenderer:
        """Renders HTML to PDF."""
        return self.integrations.pdf

    def progress(self, percent: float, message: str = "", **fields: Json) -> None:
        """Report how far the attempt has come, from 0 to 100; watchers see it within a moment."""
        bounded = min(100.0, max(0.0, float(percent)))
        self._report("progress", message, {"percent": bounded, **fields})

    def log(self, message: str, level: str = "info", **fields: Json) -> None:
        """Add a line to the task's log. Values that are not JSON raise `InvalidInput`."""
        self._report(level, message, fields)

    def _report(self, level: str, message: str, fields: dict[str, Json]) -> None:
        if problem := check_text(level, "level", LONGEST_LEVEL):
            raise InvalidInput("the log line cannot be kept", [problem])
        require_json(fields, "fields")
        self.report(Report(level, storable(str(message)), fields))
