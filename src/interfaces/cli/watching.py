"""Watching tasks and runs: drawn over and over on a terminal, line by line anywhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from cueline.application.application import Application
from cueline.application.queries import RunDetail, TaskDetail
from cueline.domain.identifiers import Purpose, RunId, TaskId, step_task_id
from cueline.domain.json import Json
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import RunState
from cueline.interfaces.cli.exits import Exit
from cueline.interfaces.cli.following import follow
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.table import Table, plain_line
from cueline.interfaces.cli.text import moment
from cueline.interfaces.cli.views import runs, tasks

if TYPE_CHECKING:
    from rich.console import RenderableType

LINES_AROUND_STEPS = 6
"""What a live view of a run needs beside its steps: headline, table head, what is left out."""


async def watch_task(
    application: Application, screen: Screen, id: TaskId, *, quietly: bool = False
) -> TaskDetail:
    """Show a task until it has ended. `quietly`, in JSON, leaves the answer to the caller."""
    queries = application.queries
    reasons = _Reasons(application)

    async with _area(screen) as draw:
        seen_lines = _Changes()

        async def show(detail: TaskDetail) -> None:
            now = application.clock.now()
            if screen.as_json:
                document = tasks.task_document(detail)
                if not quietly and seen_lines.is_new(document):
                    screen.line(document)
                return
            cell = tasks.task_headline(detail, now, await reasons.of(detail))
            if draw is not None:
                draw(screen.drawn(Table.line(cell)))
                return
            steady = plain_line(tasks.task_progress_line(detail, await reasons.of(detail)))
            if seen_lines.is_new(steady):
                screen.show(f"{moment(now)}  {steady}")

        return await follow(
            queries.watch([id]),
            lambda: queries.task(id),
            show,
            lambda detail: detail.task.state.ended,
        )
