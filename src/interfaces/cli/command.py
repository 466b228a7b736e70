"""How a command runs: its options are read, its coroutine is run, its errors become exit codes.

A command is an `async` function of an `Invocation` and what typer reads for it. Typer builds every
command for every call, `--help` included, so the modules in `commands` only say what may be asked;
what answers it they import when it is asked.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeAlias, get_type_hints

import typer

from cueline.domain.errors import CuelineError
from cueline.interfaces.cli.entry import Entry, Options
from cueline.interfaces.cli.exits import Exit, report
from cueline.interfaces.cli.screen import Screen

if TYPE_CHECKING:
    from cueline.application.application import Application

P = ParamSpec("P")

_PANEL = "Global options"

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The store: sqlite:///PATH, postgresql://..., memory:// (or CUELINE_STORE).",
        rich_help_panel=_PANEL,
    ),
]
BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        metavar="URL",
        help="The broker: redis://..., amqp://...; the store itself if none (or CUELINE_BROKER).",
        rich_help_panel=_PANEL,
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:NAME",
        help="The application to load, as in shop.tasks:app (or CUELINE_APP).",
        rich_help_panel=_PANEL,
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Answer with one JSON document (JSON lines while watching), nothing else.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Globals:
    """What was said before the command's name."""

    entry: Entry
    options: Options
    as_json: bool


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a command: what it may start, the options that hold for it, where it answers."""

    entry: Entry
    options: Options
    screen: Screen

    def application(self) -> AbstractAsyncContextManager[Application]:
        """Open the application as a client."""
        return self.entry.open(self.options)


Body: TypeAlias = Callable[Concatenate[Invocation, P], Coroutine[Any, Any, Exit | None]]


def command(group: typer.Typer, name: str) -> Callable[[Body[P]], Body[P]]:
    """Make an async function a command of the group, with the global options added to its own."""

    def register(body: Body[P]) -> Body[P]:
        group.command(name, help=flowing(inspect.getdoc(body) or ""))(_runnable(body))
        return body

    return register


def flowing(text: str) -> str:
    """A text whose lines are broken by the terminal and no longer by its source."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _runnable(body: Callable[..., Coroutine[Any, Any, Exit | None]]) -> Callable[..., None]:
    def run(
        ctx: typer.Context,
        *,
        store: str | None,
        broker: str | None,
        app: str | None,
        as_json: bool,
        **own: Any,
    ) -> None:
        before: Globals = ctx.obj  # an option may stand before the command's name or after it
        options = replace(
            before.options,
            store=before.options.store if store is None else store,
            broker=before.options.broker if broker is None else broker,
            app=before.options.app if app is None else app,
        )
        call = Invocation(before.entry, options, Screen(as_json=as_json or before.as_json))
        code = carry_out(call.screen, lambda: body(call, **own))
        if code:
            raise typer.Exit(code)

    signature = _with_globals(body)
    run.__name__ = body.__name__
    run.__signature__ = signature  # type: ignore[attr-defined]  # what typer goes by
    run.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return run


def _with_globals(body: Callable[..., Any]) -> inspect.Signature:
    """The signature of a command: the context, what its body takes, and the global options."""
    hints = get_type_hints(body, include_extras=True)
    _, *own = inspect.signature(body).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            *(each.replace(annotation=hints[each.name], kind=keyword) for each in own),
            inspect.Parameter("store", keyword, default=None, annotation=StoreOption),
            inspect.Parameter("broker", keyword, default=None, annotation=BrokerOption),
            inspect.Parameter("app", keyword, default=None, annotation=AppOption),
            inspect.Parameter("as_json", keyword, default=False, annotation=JsonOption),
        ]
    )


def carry_out(screen: Screen, start: Callable[[], Coroutine[Any, Any, Exit | None]]) -> Exit:
    """Run a command to its end and answer its exit code. Ctrl-C and usage errors pass through."""
    import asyncio

    try:
        return asyncio.run(start()) or Exit.OK
    except CuelineError as error:
        found = report(error)
        screen.fail(found)
        return found.code
    except BrokenPipeError:
        _let_go_of_stdout()
        return Exit.PIPE_CLOSED
    except (typer.TyperException, typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - a bug must not look like a task that ended badly
        screen.crash(error)
        return Exit.BUG


def _let_go_of_stdout() -> None:
    """Have what Python still wants to flush on its way out go nowhere, instead of failing again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
