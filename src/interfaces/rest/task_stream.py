"""The stream of a task: its states, its log and progress, and its end."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from cueline.application.application import Application
from cueline.application.ports.journal import LogEntry
from cueline.application.queries import TaskDetail
from cueline.domain.errors import InvalidInput, NotFound, Problem, Unavailable
from cueline.domain.events import Event
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task, TaskState
from cueline.interfaces.documents.parts import error_document
from cueline.interfaces.documents.states import SCHEDULED
from cueline.interfaces.documents.tasks import log_document
from cueline.interfaces.rest.edge import Pace
from cueline.interfaces.rest.event_stream import frame
from cueline.interfaces.rest.listening import listening

log = logging.getLogger(__name__)

LOGS_AT_ONCE = 500
LAST_POSITION = 2**63 - 1

_PLACE = re.compile(r"(\d{1,18})(?:\.(\d{1,18}))?")


@dataclass(slots=True)
class Place:
    """How far a client has followed: the version of the task, and the position in its log.

    As the id of an event it is `version` for a status and `version.position` for a line of the log.
    Who resumes from a status does not say how much of the log it knows: it hears all of it again,
    each line with its position, or none if the task has ended.
    """

    version: int = 0
    position: int = 0

    @classmethod
    def resumed(cls, last_event_id: str | None) -> Place:
        """The place that a client names when it comes back."""
        if not last_event_id:
            return cls()
        named = _PLACE.fullmatch(last_event_id)
        if named is None:
            wrong = Problem("Last-Event-ID", "is not the id of an event of a task")
            raise InvalidInput("the stream cannot be resumed", [wrong])
        return cls(int(named[1]), int(named[2] or 0))


async def task_stream(
    app: Application, id: TaskId, place: Place, pace: Pace
) -> AsyncGenerator[bytes, None]:
    """Tell what happens to a task from `place` on, until it ends."""
    telling = _Telling(app, id, place)
    async with listening(app.queries, [id], pace) as ear:
        while True:
            heard = ear.take()
            try:
                async for told in telling.news(heard):
                    yield told
            except Unavailable as error:
                log.warning("the stream of task %s waits: %s", id, error)
            if telling.over:
                return
            if ear.is_time_to_beat():
                yield frame("heartbeat", {"at": app.clock.now()})
            await ear.wait()


class _Telling:
    """One telling of a task: what the client has heard, and what it has not."""

    def __init__(self, app: Application, id: TaskId, place: Place) -> None:
        self._app = app
        self._id = id
        self._place = place
        self._attempt = 0
        self._begun = False
        self.over = False

    async def news(self, heard: Sequence[Event]) -> AsyncIterator[bytes]:
        """Look, and tell what is new: the log of an attempt goes before the state it led to."""
        try:
            detail = await self._app.queries.task(self._id)
        except NotFound:  # the task is past its retention
            self.over = True
            return
        for told in self._opening(detail) + await self._starts(heard, detail.task):
            yield told
        if detail.task.state is TaskState.RUNNING:  # its log follows it
            for told in _state(detail, self._place):
                yield told
        while page := await self._log_page():
            for told in page:
                yield told
        for told in _state(detail, self._place):
            yield told
        self.over = detail.task.state.ended

    def _opening(self, detail: TaskDetail) -> list[bytes]:
        """What only the first look has to tell."""
        if self._begun:
            return []
        self._begun = True
        if self._place.version > detail.task.version:  # an id that this task never had: start anew
            self._place.version = 0
        if not detail.task.state.ended:
            return _state(detail, self._place)
        if not self._place.position:  # it is over: the end at once, and no log before it
            self._place.position = LAST_POSITION
        return []

    async def _starts(self, heard: Sequence[Event], task: Task) -> list[bytes]:
        """The starts of attempts that had moved on before this look.

        The store knows these attempts, but not the version at which each began: that is what the
        news is for, and all that it is believed.
        """
        news = [event for event in heard if self._is_start_before(event, task.version)]
        if not news:
            return []
        attempts = {each.number: each for each in await self._app.queries.attempts(self._id)}
        told = []
        for event in news:
            attempt = attempts.get(_number(event))
            if attempt is None or attempt.number <= self._attempt:
                continue
            if event.sequence <= self._place.version:
                continue
            before = attempts.get(attempt.number - 1)
            failure = before.failure if before is not None else None
            self._attempt, self._place.version = attempt.number, event.sequence
            told.append(_started(attempt.number, event.sequence, failure))
        return told

    def _is_start_before(self, event: Event, version: int) -> bool:
        started = event.type == "status" and event.data.get("state") == TaskState.RUNNING.value
        return started and self._place.version < event.sequence < version

    async def _log_page(self) -> list[bytes]:
        if self._place.position >= LAST_POSITION:
            return []
        told = []
        for position, entry in await self._app.queries.logs(
            self._id, self._place.position, LOGS_AT_ONCE
        ):
            self._place.position = position
            told.append(_log_frame(entry, self._place))
        return told


def _number(event: Event) -> int:
    """The attempt that an event names; 0 if it names none."""
    attempt = event.data.get("attempt")
    return attempt if isinstance(attempt, int) else 0


def _started(attempt: int, version: int, failure: Failure | None) -> bytes:
    data = {
        "state": TaskState.RUNNING.value,
        "attempt": attempt,
        "version": version,
        "error": failure.summary if failure is not None else None,
    }
    return frame("status", data, version)


def _log_frame(entry: LogEntry, place: Place) -> bytes:
    id = f"{place.version}.{place.position}"
    document = log_document(place.position, entry)
    if entry.level == "progress":
        return frame("progress", {**document, **_percent(entry)}, id)
    return frame("log", document, id)


def _percent(entry: LogEntry) -> dict[str, object]:
    return {"percent": entry.fields.get("percent")}


def _state(detail: TaskDetail, place: Place) -> list[bytes]:
    """The present state, if it is news, and the end, if the task has come to it."""
    task = detail.task
    told = []
    if task.version > place.version:
        place.version = task.version
        data = {
            "state": SCHEDULED if detail.scheduled else task.state.value,
            "attempt": task.attempt,
            "version": task.version,
            "error": task.failure.summary if task.failure else None,
        }
        told.append(frame("status", data, task.version))
    end = {"id": task.id, "state": task.state.value}
    if task.state is TaskState.SUCCEEDED:
        told.append(frame("complete", {**end, "output": task.output}, task.version))
    elif task.state.ended:
        failure = error_document(task.failure)
        told.append(frame("error", {**end, "error": failure}, task.version))
    return told
