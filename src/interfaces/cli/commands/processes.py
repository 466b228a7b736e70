"""`serve`, `worker` and `doctor`: what runs for long, and whether it could."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command
from cueline.interfaces.cli.entry import ROLES, Check
from cueline.interfaces.cli.exits import Exit
from cueline.interfaces.cli.table import Cell, Column, Table

if TYPE_CHECKING:
    from cueline.domain.json import Json

ConcurrencyOption = Annotated[
    int | None, typer.Option(min=1, help="How many tasks run at once (or CUELINE_CONCURRENCY).")
]
QueuesOption = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="The queues whose tasks are run here (or CUELINE_QUEUES)."),
]


def add_to(cli: typer.Typer) -> None:
    """Add the commands."""
    command(cli, "serve")(serve)
    command(cli, "worker")(worker)
    command(cli, "doctor")(doctor)


async def serve(
    call: Invocation,
    host: Annotated[
        str | None, typer.Option(help="Where to listen; 127.0.0.1 if not said (or CUELINE_HOST).")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="On which port; 8000 if not said (or CUELINE_PORT)."),
    ] = None,
    concurrency: ConcurrencyOption = None,
    queues: QueuesOption = None,
    roles: Annotated[
        str | None,
        typer.Option(metavar="A,B", help=f"Any of {', '.join(ROLES)} (or CUELINE_ROLES)."),
    ] = None,
) -> None:
    """Run the API and the dashboard; by default also a worker, the dispatcher and the scheduler.

    Stops at SIGTERM or Ctrl-C, once the tasks under way have ended or been given back.
    """
    options = replace(
        call.options,
        host=host,
        port=port,
        concurrency=concurrency,
        queues=_words(queues, "--queues"),
        roles=_roles(roles, ROLES),
    )
    await call.entry.serve(options)


async def worker(
    call: Invocation,
    concurrency: ConcurrencyOption = None,
    queues: QueuesOption = None,
    roles: Annotated[
        str | None,
        typer.Option(metavar="A,B", help=f"Any of {', '.join(ROLES[1:])} (or CUELINE_ROLES)."),
    ] = None,
) -> None:
    """Run a worker, the dispatcher and the scheduler without the API."""
    options = replace(
        call.options,
        concurrency=concurrency,
        queues=_words(queues, "--queues"),
        roles=_roles(roles, ROLES[1:]),
    )
    await call.entry.work(options)


async def doctor(call: Invocation) -> Exit | None:
    """Say what store and broker are selected, whether they answer, what they can and cannot do."""
    checks = await call.entry.doctor(call.options)
    healthy = all(check.ok is not False for check in checks)
    document: dict[str, Json] = {
        "ok": healthy,
        "checks": [
            {"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks
        ],
    }
    call.screen.answer(document, _check_table(checks))
    return Exit.OK if healthy else Exit.UNAVAILABLE


_MARKS = {True: Cell("ok", "green"), False: Cell("FAILED", "bold red"), None: Cell("-", "dim")}


def _check_table(checks: Sequence[Check]) -> Table:
    columns = (Column("check"), Column("result"), Column("detail", flexible=True))
    rows = [[Cell(check.name), _MARKS[check.ok], Cell(check.detail)] for check in checks]
    return Table(columns, rows)


def _roles(value: str | None, known: tuple[str, ...]) -> tuple[str, ...] | None:
    roles = _words(value, "--roles")
    for role in roles or ():
        if role not in known:
            raise typer.BadParameter(
                f"{role!r} is none of: {', '.join(known)}", param_hint="--roles"
            )
    return roles


def _words(value: str | None, hint: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not words:
        raise typer.BadParameter("name at least one", param_hint=hint)
    return words
