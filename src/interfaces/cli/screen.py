"""Where answers and errors go: JSON or something to read on stdout, everything else on stderr."""

from __future__ import annotations

import codecs
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

import typer

from cueline.interfaces.cli.exits import Exit, Report
from cueline.interfaces.cli.table import Table, View, plain_lines, rich_view
from cueline.interfaces.cli.text import clean, clean_json, clean_lines, clip

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from cueline.domain.json import Json

LONGEST_MESSAGE = 500
MOST_PROBLEMS = 20


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads what is written here."""
    return stream.isatty()


class Screen:
    """Writes what a command has to say, in the form that was asked for.

    With `as_json` stdout gets one document, or one on each line while something is watched, and
    stderr nothing but error objects.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.is_terminal = is_terminal(sys.stdout)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                # An output that cannot encode a character must not cost the whole answer.
                stream.reconfigure(errors="backslashreplace")

    # --- stdout -----------------------------------------------------------------------------------

    def answer(self, document: Mapping[str, object], *views: View) -> None:
        """Give the answer of a command: the document to scripts, the views to people."""
        if self.as_json:
            self._write(self._dumps(document, indent=2))
        else:
            self.show(*views)

    def line(self, document: Mapping[str, object], *views: View) -> None:
        """Give one more answer of many: a document on a line of its own, or views."""
        if self.as_json:
            self._write(self._dumps(document))
        else:
            self.show(*views)

    def show(self, *views: View) -> None:
        """Show something to people."""
        for view in views:
            if self.is_terminal:
                # A line that is too long is left to the terminal, so that it is copied as one.
                self._console.print(self._drawn(view), soft_wrap=not isinstance(view, Table))
            elif lines := list(plain_lines(view)):
                self._write("\n".join(lines))

    def _drawn(self, view: View) -> RenderableType:
        return rich_view(view, width=self._console.width, unicode=self._is_unicode)

    @contextmanager
    def live(self) -> Iterator[Callable[..., None]]:
        """A place on the terminal where views are drawn over; what was drawn last stays."""
        from rich.console import Group
        from rich.live import Live

        with Live(console=self._console, auto_refresh=False) as area:
            yield lambda *views: area.update(Group(*map(self._drawn, views)), refresh=True)

    @property
    def height(self) -> int:
        """How many lines the terminal has."""
        return self._console.height

    # --- stderr -----------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Tell people something beside the answer."""
        if not self.as_json:
            self._complain(clean(text))

    def fail(self, report: Report) -> None:
        """Say what went wrong and what to do."""
        if self.as_json:
            self._complain(self._dumps({"error": error_document(report)}))
            return
        colour = False if os.environ.get("NO_COLOR") else None
        typer.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=colour)
        self._complain(clip(report.message, LONGEST_MESSAGE))
        for problem in report.problems[:MOST_PROBLEMS]:
            self._complain(f"  {clip(str(problem), LONGEST_MESSAGE)}")
        if len(report.problems) > MOST_PROBLEMS:
            left_out = len(report.problems) - MOST_PROBLEMS
            self._complain(f"  ... and {left_out} more; --json lists them all")
        if report.hint:
            self._complain(clean(report.hint))

    def crash(self, error: Exception) -> None:
        """Show an error that nobody expected, with all that it takes to find the bug."""
        trace = "".join(traceback.format_exception(error))
        if self.as_json:
            self.fail(Report(Exit.BUG, "bug", trace))
        else:
            self._complain("\n".join(clean_lines(trace.rstrip())))

    # ----------------------------------------------------------------------------------------------

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    @property
    def _is_unicode(self) -> bool:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        return codecs.lookup(encoding).name.startswith("utf")

    def _dumps(self, document: Mapping[str, object], indent: int | None = None) -> str:
        ascii_only = not self._is_unicode
        text = json.dumps(
            document, indent=indent, ensure_ascii=ascii_only, allow_nan=False, default=_timestamp
        )
        return clean_json(text)

    @staticmethod
    def _write(text: str) -> None:
        # At once: who reads a pipe wants to see progress, and a reader that went away shows here.
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    @staticmethod
    def _complain(text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _timestamp(value: object) -> str:
    """Write a time as REST does: RFC 3339, in UTC, with a Z."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def error_document(report: Report) -> dict[str, Json]:
    """An error as scripts read it."""
    return {
        "type": report.type,
        "message": report.message,
        "problems": [
            {"path": problem.path, "message": problem.message} for problem in report.problems
        ],
    }
