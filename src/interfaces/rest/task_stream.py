"""The stream of a task: its states, its log and progress, and its end."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from cueline.application.application import Application
from cueline.application.ports.persistence import LogEntry
from cueline.application.queries import TaskDetail
from cueline.domain.errors import InvalidInput, NotFound, Problem, Unavailable
from cueline.domain.events import Event
from cueline.domain.identifiers import TaskId
from cueline.domain.task import TaskState
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
        self._begun = False
        self.over = False

    async def news(self, heard: Sequence[Event]) -> AsyncIterator[bytes]:
        """Look, and tell what is new: the log of an attempt goes before the state it led to."""
        try:
            detail = await self._app.queries.task(self._id)
        except NotFound:  # the task is past its retention
            self.over = True
            return
        for told in self._opening(detail) + _starts(heard, self._place):
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


def _starts(heard: Sequence[Event], place: Place) -> list[bytes]:
    """The starts of attempts. They may be over before the next look, so the news itself is told."""
    told = []
    for event in heard:
        started = event.type == "status" and event.data.get("state") == TaskState.RUNNING.value
        if started and event.sequence > place.version:
            place.version = event.sequence
            data = {
                "state": TaskState.RUNNING.value,
                "attempt": event.data.get("attempt"),
                "version": event.sequence,
                "error": event.data.get("error"),
            }
            told.append(frame("status", data, place.version))
    return told


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
