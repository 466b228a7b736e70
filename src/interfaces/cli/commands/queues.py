"""`queues`: look at queues, pause and resume them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command

if TYPE_CHECKING:
    from cueline.application.application import Application
    from cueline.domain.queue import Queue

group = typer.Typer(help="Look at queues, pause and resume them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name.")]


@command(group, "list")
async def list_queues(call: Invocation) -> None:
    """List the queues: what they hold, who serves them."""
    from cueline.interfaces.cli.views.fleet import queue_table
    from cueline.interfaces.documents.fleet import queue_document

    async with call.application() as application:
        found = await application.queries.queues()
    document = {"items": [queue_document(each) for each in found], "next": None}
    call.screen.answer(document, queue_table(found))


@command(group, "pause")
async def pause(call: Invocation, name: NameArgument) -> None:
    """Start nothing more from a queue; what is running goes on."""
    await _steer(call, name, lambda application: application.queues.pause)


@command(group, "resume")
async def resume(call: Invocation, name: NameArgument) -> None:
    """Let a queue's tasks start again."""
    await _steer(call, name, lambda application: application.queues.resume)


async def _steer(
    call: Invocation,
    name: str,
    choose: Callable[[Application], Callable[[str], Awaitable[Queue]]],
) -> None:
    from cueline.interfaces.documents.fleet import queue_document

    async with call.application() as application:
        known = {detail.queue.name for detail in await application.queries.queues()}
        await choose(application)(name)
        detail = await application.queries.queue(name)
    state = "paused" if detail.queue.paused else "open"
    call.screen.answer(queue_document(detail), f"Queue {name} is {state}.")
    if name not in known:
        others = ", ".join(sorted(known)) or "none"
        call.screen.note(f"Nothing else is known of a queue {name!r}; the others: {others}")
