"""`runs`: start runs of workflows, look at them and steer them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command
from cueline.interfaces.cli.commands.submit import InputOption, KeyOption, WaitOption, WordsArgument
from cueline.interfaces.cli.commands.tasks import CursorOption, LimitOption
from cueline.interfaces.cli.exits import Exit

if TYPE_CHECKING:
    from cueline.application.application import Application
    from cueline.application.workflows import Started
    from cueline.domain.identifiers import RunId
    from cueline.domain.workflow.run import Run

group = typer.Typer(
    help="Start runs of workflows, look at them, and pause, resume, cancel or retry them.",
    no_args_is_help=True,
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]


@command(group, "list")
async def list_runs(
    call: Invocation,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="running, paused, compensating, succeeded, compensated, failed, "
            "compensation_failed, cancelled.",
        ),
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
) -> None:
    """List runs, the newest first."""
    from cueline.application.ports.questions import Page
    from cueline.interfaces.cli.listing import answer_page, run_filter
    from cueline.interfaces.cli.reading.identifiers import cursor as parse_cursor
    from cueline.interfaces.cli.views.runs import run_table
    from cueline.interfaces.documents.runs import run_summary

    wanted = run_filter(state=state, workflow=workflow)
    page = Page(limit + 1, parse_cursor(cursor))
    async with call.application() as application:
        found = await application.queries.runs(wanted, page)
    answer_page(call.screen, found, limit, run_summary, run_table, lambda run: run.id)


@command(group, "show")
async def show(call: Invocation, id: IdArgument) -> None:
    """Show a run and where each of its steps stands."""
    from cueline.interfaces.cli.reading.identifiers import run_id
    from cueline.interfaces.cli.views.runs import run_sheet, step_table
    from cueline.interfaces.documents.runs import run_document

    async with call.application() as application:
        detail = await application.queries.run(run_id(id))
        now = application.clock.now()
    document = run_document(detail)
    call.screen.answer(document, run_sheet(detail.run, now), "", step_table(detail, now))


@command(group, "start")
async def start(
    call: Invocation,
    *,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name.")],
    words: WordsArgument = None,
    input: InputOption = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="A version other than the latest.")
    ] = None,
    key: KeyOption = None,
    wait: WaitOption = False,
) -> Exit | None:
    """Start a run of a registered workflow."""
    from cueline.application.workflows import Start
    from cueline.interfaces.cli.reading.given import read_input

    given = read_input(input, words or ())
    async with call.application() as application:
        definition = await application.start.find(workflow, version)
        asked = Start(definition, {} if given is None else given, key)
        (started,) = await application.start([asked])
        if wait:
            return await _wait(call, application, started)
    _answer(call, started)
    return None


def _answer(call: Invocation, started: Started) -> None:
    from cueline.interfaces.cli.views.runs import workflow_label
    from cueline.interfaces.documents.runs import run_summary

    run = started.run
    document = {**run_summary(run), "created": started.created}
    verb = "started" if started.created else f"was started before with this key; it is {run.state}"
    call.screen.answer(document, f"Run {run.id} of {workflow_label(run)} {verb}.")


async def _wait(call: Invocation, application: Application, started: Started) -> Exit:
    import asyncio

    from cueline.interfaces.cli.watching.endings import tell_run
    from cueline.interfaces.cli.watching.sights import run_sight
    from cueline.interfaces.cli.watching.watch import wait, watch

    id = started.run.id
    try:
        call.screen.note(f"Run {id} started.")
        sight = await run_sight(application, call.screen, id)
        end = await (wait(sight) if call.screen.as_json else watch(call.screen, sight))
    except asyncio.CancelledError:
        call.screen.note(f"No longer waiting; the run goes on: cueline runs watch {id}")
        raise
    return tell_run(call.screen, end.detail, created=started.created)


@command(group, "watch")
async def watch_run(call: Invocation, id: IdArgument) -> Exit | None:
    """Watch a run and its steps until it ends; the exit code tells how."""
    from cueline.interfaces.cli.reading.identifiers import run_id
    from cueline.interfaces.cli.views.runs import run_verdict
    from cueline.interfaces.cli.watching.endings import run_exit
    from cueline.interfaces.cli.watching.sights import run_sight
    from cueline.interfaces.cli.watching.watch import watch

    async with call.application() as application:
        sight = await run_sight(application, call.screen, run_id(id))
        end = await watch(call.screen, sight)
    if not call.screen.as_json:
        call.screen.show(run_verdict(end.detail.run))
    return run_exit(end.detail)


@command(group, "history")
async def history(
    call: Invocation,
    id: IdArgument,
    after: Annotated[
        int, typer.Option(min=0, metavar="SEQUENCE", help="Only what came after this entry.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries to show.")] = 1000,
) -> None:
    """Show what happened in a run, in order."""
    from cueline.interfaces.cli.reading.identifiers import run_id
    from cueline.interfaces.cli.views.runs import history_table
    from cueline.interfaces.documents.runs import history_document

    async with call.application() as application:
        found = await application.queries.history(run_id(id), after, limit + 1)
    shown = found[:limit]
    following = shown[-1].sequence if len(found) > limit else None
    document = {"items": [history_document(each) for each in shown], "next": following}
    call.screen.answer(document, history_table(shown))
    if following is not None:
        call.screen.note(f"There is more: --after {following}")


@command(group, "cancel")
async def cancel(call: Invocation, id: IdArgument) -> None:
    """Stop what is under way, undo what was done, and end the run as cancelled."""
    await _steer(call, id, lambda application: application.runs.cancel)


@command(group, "pause")
async def pause(call: Invocation, id: IdArgument) -> None:
    """Start no further step until the run is resumed; what is under way goes on."""
    await _steer(call, id, lambda application: application.runs.pause)


@command(group, "resume")
async def resume(call: Invocation, id: IdArgument) -> None:
    """Go on after a pause."""
    await _steer(call, id, lambda application: application.runs.resume)


@command(group, "retry")
async def retry(call: Invocation, id: IdArgument) -> None:
    """Try again what failed: the steps of a failed run, or the undo that failed."""
    await _steer(call, id, lambda application: application.runs.retry)


async def _steer(
    call: Invocation,
    id: str,
    choose: Callable[[Application], Callable[[RunId], Awaitable[Run]]],
) -> None:
    from cueline.interfaces.cli.reading.identifiers import run_id
    from cueline.interfaces.documents.runs import run_summary

    async with call.application() as application:
        run = await choose(application)(run_id(id))
    call.screen.answer(run_summary(run), f"Run {run.id} is {run.state.value}.")
