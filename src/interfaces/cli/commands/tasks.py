"""`tasks`: look at tasks and steer them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command
from cueline.interfaces.cli.exits import Exit

if TYPE_CHECKING:
    from cueline.application.application import Application
    from cueline.domain.identifiers import TaskId
    from cueline.domain.task import Task

group = typer.Typer(help="Look at tasks, and cancel, retry or promote them.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]
IdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID...", help="The tasks' ids; all are changed or none.")
]
LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")]
CursorOption = Annotated[
    str | None, typer.Option(metavar="ID", help="Go on after this id: the `next` of a page.")
]


@command(group, "list")
async def list_tasks(
    call: Invocation,
    *,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="queued, scheduled, running, succeeded, failed, cancelled."
        ),
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Only of this queue.")] = None,
    name: Annotated[str | None, typer.Option(help="Only tasks of this name.")] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="Only steps of this run.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
) -> None:
    """List tasks, the newest first."""
    from cueline.application.ports.questions import Page
    from cueline.interfaces.cli.listing import answer_page, task_filter
    from cueline.interfaces.cli.reading.identifiers import cursor as parse_cursor
    from cueline.interfaces.cli.views.tasks import task_table
    from cueline.interfaces.documents.tasks import task_document

    wanted = task_filter(state=state, queue=queue, name=name, run=run, tag=tag)
    page = Page(limit + 1, parse_cursor(cursor))
    async with call.application() as application:
        found = await application.queries.tasks(wanted, page)
    answer_page(call.screen, found, limit, task_document, task_table, lambda each: each.task.id)


@command(group, "show")
async def show(call: Invocation, id: IdArgument) -> None:
    """Show everything about a task."""
    from cueline.interfaces.cli.reading.identifiers import task_id
    from cueline.interfaces.cli.views.tasks import task_sheet
    from cueline.interfaces.documents.tasks import task_document

    async with call.application() as application:
        detail = await application.queries.task(task_id(id))
        now = application.clock.now()
    call.screen.answer(task_document(detail), task_sheet(detail, now))


@command(group, "logs")
async def logs(
    call: Invocation,
    id: IdArgument,
    after: Annotated[
        int, typer.Option(min=0, metavar="POSITION", help="Only lines beyond this position.")
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many lines; all if not said.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the task ends; as JSON, line by line."),
    ] = False,
) -> None:
    """Show what a task's handler logged and reported."""
    from cueline.interfaces.cli.reading.identifiers import task_id
    from cueline.interfaces.cli.watching.logs import follow_logs, show_logs

    async with call.application() as application:
        if follow:
            await follow_logs(application, call.screen, task_id(id), after, limit)
        else:
            await show_logs(application, call.screen, task_id(id), after, limit)


@command(group, "attempts")
async def attempts(call: Invocation, id: IdArgument) -> None:
    """Show every attempt at a task: when, by which worker, and how it ended."""
    from cueline.interfaces.cli.reading.identifiers import task_id
    from cueline.interfaces.cli.views.tasks import attempt_table
    from cueline.interfaces.documents.tasks import attempt_document

    async with call.application() as application:
        found = await application.queries.attempts(task_id(id))
        now = application.clock.now()
    document = {"items": [attempt_document(each) for each in found]}
    call.screen.answer(document, attempt_table(found, now))


@command(group, "explain")
async def explain(call: Invocation, id: IdArgument) -> None:
    """Say why a task is where it is."""
    from cueline.interfaces.cli.reading.identifiers import task_id

    async with call.application() as application:
        reasons = await application.queries.explain(task_id(id))
    call.screen.answer({"id": id, "reasons": list(reasons)}, *reasons)


@command(group, "watch")
async def watch_task(call: Invocation, id: IdArgument) -> Exit | None:
    """Watch a task until it ends; the exit code tells how."""
    from cueline.interfaces.cli.reading.identifiers import task_id
    from cueline.interfaces.cli.views.tasks import task_verdict
    from cueline.interfaces.cli.watching.endings import task_exit
    from cueline.interfaces.cli.watching.sights import task_sight
    from cueline.interfaces.cli.watching.watch import watch

    async with call.application() as application:
        end = await watch(call.screen, task_sight(application, task_id(id)))
    if not call.screen.as_json:
        call.screen.show(task_verdict(end.detail.task))
    return task_exit(end.detail)


@command(group, "cancel")
async def cancel(call: Invocation, ids: IdsArgument) -> None:
    """Cancel tasks, queued or running."""
    await _steer(call, ids, lambda application: application.tasks.cancel)


@command(group, "retry")
async def retry(call: Invocation, ids: IdsArgument) -> None:
    """Give tasks that failed or were cancelled a new life, with all their attempts before them."""
    await _steer(call, ids, lambda application: application.tasks.retry)


@command(group, "promote")
async def promote(call: Invocation, ids: IdsArgument) -> None:
    """Run tasks now that are scheduled for later or wait for a retry."""
    await _steer(call, ids, lambda application: application.tasks.promote)


async def _steer(
    call: Invocation,
    ids: Sequence[str],
    choose: Callable[[Application], Callable[[Sequence[TaskId]], Awaitable[list[Task]]]],
) -> None:
    from cueline.application.queries import TaskDetail
    from cueline.interfaces.cli.reading.identifiers import task_id
    from cueline.interfaces.documents.states import shown_state
    from cueline.interfaces.documents.tasks import task_document

    wanted = [task_id(id) for id in ids]
    async with call.application() as application:
        changed = await choose(application)(wanted)
        now = application.clock.now()
    document = {
        "items": [task_document(TaskDetail(task, None, task.is_scheduled(now))) for task in changed]
    }
    lines = [f"Task {task.id} is {shown_state(task, now)}." for task in changed]
    call.screen.answer(document, *lines)
