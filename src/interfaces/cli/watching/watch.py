"""Watching: drawn over and over on a terminal, elsewhere line by line or document by document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cueline.domain.events import Event
from cueline.interfaces.cli.screen import Screen
from cueline.interfaces.cli.table import View
from cueline.interfaces.cli.text import moment
from cueline.interfaces.cli.watching.follow import follow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sight(Generic[T]):
    """Something that can be watched, and how each look at it is shown.

    `lines` gives a line for each part that may change by itself; only those that did are written.
    """

    events: AbstractAsyncContextManager[AsyncIterator[Event]]
    look: Callable[[], Awaitable[T]]
    ended: Callable[[T], bool]
    at: Callable[[T], datetime]
    document: Callable[[T], Mapping[str, object]]
    views: Callable[[T], Sequence[View]]
    lines: Callable[[T], Mapping[str, str]]


async def watch(screen: Screen, sight: Sight[T]) -> T:
    """Show something until it has ended; answer its end."""
    if screen.as_json:
        return await _follow(sight, _document_writer(screen, sight))
    if not screen.is_terminal:
        return await _follow(sight, _line_writer(screen, sight))
    with screen.live() as draw:
        return await _follow(sight, lambda seen: draw(*sight.views(seen)))


async def wait(sight: Sight[T]) -> T:
    """Wait for the end and show nothing."""
    return await _follow(sight, lambda _: None)


async def _follow(sight: Sight[T], show: Callable[[T], None]) -> T:
    return await follow(sight.events, sight.look, show, sight.ended)


def _document_writer(screen: Screen, sight: Sight[T]) -> Callable[[T], None]:
    last: list[Mapping[str, object]] = []

    def write(seen: T) -> None:
        document = sight.document(seen)
        if [document] != last:
            last[:] = [document]
            screen.line(document)

    return write


def _line_writer(screen: Screen, sight: Sight[T]) -> Callable[[T], None]:
    last: dict[str, str] = {}

    def write(seen: T) -> None:
        for part, line in sight.lines(seen).items():
            if last.get(part) != line:
                last[part] = line
                screen.show(f"{moment(sight.at(seen))}  {line}")

    return write
