"""Identifiers as they are typed."""

from __future__ import annotations

from uuid import UUID

import typer

from cueline.domain.errors import NotFound
from cueline.domain.identifiers import RunId, TaskId


def task_id(text: str) -> TaskId:
    """The id of a task. What is no id at all is the id of nothing: `NotFound`."""
    return TaskId(_canonical("task", text))


def run_id(text: str) -> RunId:
    """The id of a run. What is no id at all is the id of nothing: `NotFound`."""
    return RunId(_canonical("run", text))


def cursor(text: str | None) -> str | None:
    """Where a listing goes on: the `next` of the page before."""
    if text is None:
        return None
    try:
        return str(UUID(text))
    except ValueError as error:
        raise typer.BadParameter(
            "give the `next` of the page before", param_hint="--cursor"
        ) from error


def _canonical(kind: str, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        hint = "an id looks like 0198c0de-0000-7000-8000-000000000000"
        raise NotFound(kind, text, hint) from error
