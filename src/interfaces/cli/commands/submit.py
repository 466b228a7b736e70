"""`submit`: ask for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command
from cueline.interfaces.cli.exits import Exit

if TYPE_CHECKING:
    from cueline.application.application import Application
    from cueline.application.tasks import Submitted

InputOption = Annotated[
    str | None,
    typer.Option(
        "--input", "-i", metavar="JSON|@FILE|-", help="The input: JSON, a file, or stdin."
    ),
]
WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="The input as words: order=7, name=Anna, tags:=[1,2]. Or - to read JSON from stdin.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="An idempotency key: asked for again, it brings the first answer."),
]

WaitOption = Annotated[
    bool,
    typer.Option("--wait", "-w", help="Show progress until it ends; the exit code tells how."),
]


def add_to(cli: typer.Typer) -> None:
    """Add the command."""
    command(cli, "submit")(submit)


async def submit(  # noqa: PLR0913 - one for each option
    call: Invocation,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The task's name.")],
    words: WordsArgument = None,
    input: InputOption = None,
    queue: Annotated[str | None, typer.Option(help="A queue other than the task's own.")] = None,
    priority: Annotated[
        str | None, typer.Option(metavar="critical|high|normal|low", help="How urgent it is.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="30s|5m|2h", help="Run it after this much time.")
    ] = None,
    run_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Run it then, as in 2026-01-31T08:00:00Z.")
    ] = None,
    retry_attempts: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many attempts it is worth, the first included."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="30s|5m|2h", help="How long one attempt may take.")
    ] = None,
    key: KeyOption = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A tag; may be given several times.")
    ] = None,
    wait: WaitOption = False,
) -> Exit | None:
    """Submit a task.

    A value among the words that reads as JSON is that, any other is a text, and so is one that the
    task wants as a text; after := only JSON is taken.
    """
    from cueline.interfaces.cli.reading.given import read_input
    from cueline.interfaces.cli.reading.submission import Wishes, submission

    wishes = Wishes(queue, priority, delay, run_at, retry_attempts, timeout, key, tuple(tag or ()))
    async with call.application() as application:
        definition = await application.catalogue.find(name)
        given = read_input(input, words or (), definition.input_schema if definition else None)
        asked = submission(name, given, wishes, definition)
        (submitted,) = await application.submit([asked])
        if wait:
            return await _wait(call, application, submitted)
        _answer(call, application, submitted)
    return None


def _answer(call: Invocation, application: Application, submitted: Submitted) -> None:
    from cueline.application.queries import TaskDetail
    from cueline.interfaces.documents.states import shown_state
    from cueline.interfaces.documents.tasks import task_document

    task, now = submitted.task, application.clock.now()
    detail = TaskDetail(task, None, task.is_scheduled(now))
    document = {**task_document(detail), "created": submitted.created}
    verb = "is submitted" if submitted.created else "was submitted before with this key"
    state = shown_state(task, now)
    call.screen.answer(document, f"Task {task.id} {verb}: {state} in queue {task.spec.queue}.")


async def _wait(call: Invocation, application: Application, submitted: Submitted) -> Exit:
    import asyncio

    from cueline.interfaces.cli.watching.endings import tell_task
    from cueline.interfaces.cli.watching.sights import task_sight
    from cueline.interfaces.cli.watching.watch import wait, watch

    id = submitted.task.id
    sight = task_sight(application, id)
    try:
        call.screen.note(f"Task {id} submitted.")
        end = await (wait(sight) if call.screen.as_json else watch(call.screen, sight))
    except asyncio.CancelledError:
        call.screen.note(f"No longer waiting; the task goes on: cueline tasks watch {id}")
        raise
    return tell_task(call.screen, end.detail, created=submitted.created)
