"""`workers`: look at workers."""

from __future__ import annotations

from typing import Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command

group = typer.Typer(help="Look at workers.", no_args_is_help=True)


@command(group, "list")
async def list_workers(
    call: Invocation,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")] = 100,
) -> None:
    """List the workers, live ones first."""
    from cueline.interfaces.cli.views.fleet import worker_table
    from cueline.interfaces.documents.fleet import worker_document

    async with call.application() as application:
        found = await application.queries.workers(limit)
        now = application.clock.now()
    document = {"items": [worker_document(each) for each in found], "next": None}
    call.screen.answer(document, worker_table(found, now))
