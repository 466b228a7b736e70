"""A task's log: page by page to its end, or followed until the task ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

from cueline.application.application import Application
from cueline.application.ports.journal import LogEntry
from cueline.domain.identifiers import TaskId
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.views.tasks import log_text
from cueline.interfaces.cli.watching.follow import follow
from cueline.interfaces.documents.tasks import log_document

PAGE = 500


async def show_logs(
    application: Application, screen: Screen, id: TaskId, after: int, limit: int | None
) -> None:
    """Show the lines that there are."""
    if not screen.as_json:
        async for _, entry in _lines(application, id, after, limit):
            screen.show(log_text(entry))
        return
    lines = [line async for line in _lines(application, id, after, limit)]
    following = lines[-1][0] if limit is not None and len(lines) == limit else None
    screen.answer({"items": [log_document(*line) for line in lines], "next": following})


async def follow_logs(
    application: Application, screen: Screen, id: TaskId, after: int, limit: int | None
) -> None:
    """Show lines as they come, until the task has ended or so many have been shown."""
    left = limit
    position = after

    async def show_new() -> bool:
        nonlocal position, left
        # The state is read first: what is logged after that look is found by this one or the next.
        ended = (await application.queries.task(id)).task.state.ended
        async for place, entry in _lines(application, id, position, left):
            screen.line(log_document(place, entry), log_text(entry))
            position = place
            left = None if left is None else left - 1
        return ended or left == 0

    await follow(application.queries.watch([id]), show_new, lambda _: None, bool)


async def _lines(
    application: Application, id: TaskId, after: int, limit: int | None
) -> AsyncIterator[tuple[int, LogEntry]]:
    left = limit
    while left is None or left > 0:
        wanted = PAGE if left is None else min(PAGE, left)
        page = await application.queries.logs(id, after, wanted)
        for line in page:
            yield line
        if len(page) < wanted:
            return
        after = page[-1][0]
        left = None if left is None else left - len(page)
