"""The command line as a whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cueline.interfaces.cli.command import (
    AppOption,
    BrokerOption,
    Globals,
    JsonOption,
    StoreOption,
    flowing,
)
from cueline.interfaces.cli.commands import (
    processes,
    queues,
    runs,
    submit,
    tasks,
    workers,
    workflows,
)
from cueline.interfaces.cli.entry import Entry, Options
from cueline.interfaces.cli.exits import Exit, Report, exit_table
from cueline.interfaces.cli.screen import error_document
from cueline.interfaces.cli.text import clean_json

HELP = """Background tasks and durable workflows.

A second terminal sees and steers the same world while the server runs: commands work directly on
the store. Without options and settings that is SQLite in a local file.
"""


class CommandLine(TyperGroup):
    """Typer's group, except that with --json a usage error is told as an error object too."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; see `TyperGroup.main`."""
        words = sys.argv[1:] if args is None else args
        for_scripts = standalone_mode and "--json" in words
        try:
            result = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode and not for_scripts,
                windows_expand_args,
                **extra,
            )
        except typer.TyperException as error:
            if not for_scripts:
                raise
            found = Report(Exit.USAGE, "usage", error.format_message())
            text = json.dumps({"error": error_document(found)}, ensure_ascii=True)
            sys.stderr.write(clean_json(text) + "\n")
            sys.exit(error.exit_code)
        if for_scripts:
            sys.exit(result if isinstance(result, int) else Exit.OK)
        return result


def build_cli(entry: Entry) -> typer.Typer:
    """The command line over what the root module can start."""
    cli = typer.Typer(
        name="cueline",
        cls=CommandLine,
        help=flowing(HELP),
        epilog="Exit codes:\n" + exit_table().replace("[", r"\["),
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )

    @cli.callback()
    def root(
        ctx: typer.Context,
        *,
        store: StoreOption = None,
        broker: BrokerOption = None,
        app: AppOption = None,
        as_json: JsonOption = False,
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=_tell_version, is_eager=True, help="Tell it and exit."
            ),
        ] = False,
    ) -> None:
        ctx.obj = Globals(entry, Options(app=app, store=store, broker=broker), as_json)

    processes.add_to(cli)
    submit.add_to(cli)
    for name, group in (
        ("tasks", tasks.group),
        ("runs", runs.group),
        ("workflows", workflows.group),
        ("queues", queues.group),
        ("workers", workers.group),
    ):
        cli.add_typer(group, name=name)
    return cli


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"cueline {version('cueline')}")
        raise typer.Exit
