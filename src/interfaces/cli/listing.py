"""Listings: which part is wanted, and where it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

import typer

from cueline.application.ports.questions import RunFilter, TaskFilter
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import RunState
from cueline.interfaces.cli.reading.identifiers import run_id
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.table import Table
from cueline.interfaces.documents.states import SCHEDULED

T = TypeVar("T")
S = TypeVar("S", bound=StrEnum)


def task_filter(
    *, state: str | None, queue: str | None, name: str | None, run: str | None, tag: str | None
) -> TaskFilter:
    """Which tasks are wanted. `queued` are those that could run now, as tables show them."""
    words = _words(state, [*TaskState, SCHEDULED])
    states = tuple(each for each in TaskState if each in words or _is_meant(each, words))
    scheduled = None
    if (SCHEDULED in words) != (TaskState.QUEUED.value in words):
        scheduled = SCHEDULED in words
    return TaskFilter(
        states=states,
        scheduled=scheduled,
        queue=queue,
        name=name,
        run_id=None if run is None else run_id(run),
        tag=tag,
    )


def _is_meant(state: TaskState, words: Sequence[str]) -> bool:
    return state is TaskState.QUEUED and SCHEDULED in words


def run_filter(*, state: str | None, workflow: str | None) -> RunFilter:
    """Which runs are wanted."""
    words = _words(state, list(RunState))
    return RunFilter(tuple(each for each in RunState if each in words), workflow)


def answer_page(
    screen: Screen,
    found: Sequence[T],
    limit: int,
    document: Callable[[T], Mapping[str, object]],
    table: Callable[[Sequence[T]], Table],
    id_of: Callable[[T], str],
) -> None:
    """Answer with a page of a listing of which one item more than the limit was asked for."""
    shown = found[:limit]
    following = id_of(shown[-1]) if len(found) > limit else None
    screen.answer({"items": [document(each) for each in shown], "next": following}, table(shown))
    if following is not None:
        screen.note(f"There is more: --cursor {following}")


def _words(value: str | None, known: Sequence[str]) -> list[str]:
    words = [word.strip() for word in (value or "").split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise typer.BadParameter(
                f"{word!r} is none of: {', '.join(known)}", param_hint="--state"
            )
    return words
