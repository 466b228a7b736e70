"""`workflows`: register definitions and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cueline.interfaces.cli.command import Invocation, command

if TYPE_CHECKING:
    from cueline.domain.json import Json

group = typer.Typer(help="Register workflow definitions and look at them.", no_args_is_help=True)


@command(group, "list")
async def list_workflows(call: Invocation) -> None:
    """List every version of every workflow."""
    from cueline.interfaces.cli.views.workflows import workflow_table
    from cueline.interfaces.documents.workflows import workflow_summary

    async with call.application() as application:
        found = await application.queries.workflows()
    document = {"items": [workflow_summary(each) for each in found], "next": None}
    call.screen.answer(document, workflow_table(found))


@command(group, "show")
async def show(
    call: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workflow's name.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A version other than the latest.")
    ] = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="As a YAML file to change and register again.")
    ] = False,
) -> None:
    """Show a workflow's definition."""
    from cueline.domain.workflow.document import workflow_document
    from cueline.interfaces.cli.views.workflows import (
        step_definitions,
        workflow_sheet,
        workflow_yaml,
    )

    async with call.application() as application:
        found = await application.start.find(name, version)
    if as_yaml and not call.screen.as_json:
        call.screen.show(*workflow_yaml(found).split("\n"))
    else:
        views = (workflow_sheet(found), "", step_definitions(found))
        call.screen.answer(workflow_document(found), *views)


@command(group, "register")
async def register(
    call: Invocation,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The definition: .yaml, .yml or .json.")
    ],
) -> None:
    """Register a workflow from a file; the same version again changes nothing."""
    from cueline.interfaces.cli.reading.workflow_file import read_workflow

    workflow = read_workflow(file)
    async with call.application() as application:
        created = await application.register(workflow)
    document: dict[str, Json] = {
        "name": workflow.name,
        "version": workflow.version,
        "created": created,
    }
    verb = "is registered" if created else "was registered already"
    call.screen.answer(document, f"Workflow {workflow.name} version {workflow.version} {verb}.")
