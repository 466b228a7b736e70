"""The stream of a run: its history as it grows, the progress of its steps, and its end."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime

from cueline.application.application import Application
from cueline.application.queries import RunDetail
from cueline.domain.errors import InvalidInput, NotFound, Problem, Unavailable
from cueline.domain.identifiers import Purpose, RunId, step_task_id
from cueline.domain.workflow.run import Run, RunState
from cueline.interfaces.documents.parts import error_document, progress_document
from cueline.interfaces.documents.runs import history_document
from cueline.interfaces.rest.edge import Pace
from cueline.interfaces.rest.event_stream import frame
from cueline.interfaces.rest.listening import listening

log = logging.getLogger(__name__)

HISTORY_AT_ONCE = 500


def resumed(last_event_id: str | None) -> int:
    """The place in the history that a client names when it comes back."""
    if not last_event_id:
        return 0
    if not last_event_id.isdecimal() or len(last_event_id) > 18:
        wrong = Problem("Last-Event-ID", "is not the id of an event of a run")
        raise InvalidInput("the stream cannot be resumed", [wrong])
    return int(last_event_id)


async def run_stream(
    app: Application, run: Run, sequence: int, pace: Pace
) -> AsyncGenerator[bytes, None]:
    """Tell what happens in a run beyond `sequence` of its history, until it ends."""
    telling = _Telling(app, run.id, sequence if sequence <= run.events else 0)
    # The run's own events, and those of its steps' tasks for their progress.
    watched = [run.id, *(step_task_id(run.id, name, Purpose.WORK) for name in run.steps)]
    async with listening(app.queries, watched, pace) as ear:
        while True:
            ear.take()  # that something happened is enough: the store tells what
            try:
                async for told in telling.news():
                    yield told
            except Unavailable as error:
                log.warning("the stream of run %s waits: %s", run.id, error)
            if telling.over:
                return
            if ear.is_time_to_beat():
                yield frame("heartbeat", {"at": app.clock.now()})
            await ear.wait()


class _Telling:
    """One telling of a run: what the client has heard, and what it has not."""

    def __init__(self, app: Application, id: RunId, sequence: int) -> None:
        self._app = app
        self._id = id
        self._sequence = sequence
        self._progress: dict[str, datetime] = {}
        self.over = False

    async def news(self) -> AsyncIterator[bytes]:
        """Look, and tell what is new."""
        try:
            detail = await self._app.queries.run(self._id)
        except NotFound:  # the run is past its retention
            self.over = True
            return
        while self._sequence < detail.run.events:
            page = await self._app.queries.history(self._id, self._sequence, HISTORY_AT_ONCE)
            if not page:
                break
            for event in page:
                self._sequence = event.sequence
                yield frame("status", history_document(event), event.sequence)
        for told in self._steps_progress(detail):
            yield told
        # A run that was retried meanwhile has gone on: only its last word counts.
        if detail.run.state.ended and self._sequence == detail.run.events:
            yield _end(detail.run)
            self.over = True

    def _steps_progress(self, detail: RunDetail) -> list[bytes]:
        told = []
        for step, entry in detail.progress.items():
            if self._progress.get(step) != entry.at:
                self._progress[step] = entry.at
                told.append(frame("progress", {"step": step, **(progress_document(entry) or {})}))
        return told


def _end(run: Run) -> bytes:
    end = {"id": run.id, "state": run.state.value}
    if run.state is RunState.SUCCEEDED:
        return frame("complete", {**end, "output": run.output}, run.events)
    return frame("error", {**end, "error": error_document(run.failure)}, run.events)
