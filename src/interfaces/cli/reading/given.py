"""Where the input of a task or a run comes from: an option, a file, stdin, or words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from cueline.domain.errors import InvalidInput, Problem
from cueline.domain.json import Json, JsonObject
from cueline.interfaces.cli.reading.json_text import parse_json
from cueline.interfaces.cli.reading.words import parse_words

STDIN = "-"


def read_input(
    option: str | None, words: Sequence[str], schema: JsonObject | None = None
) -> Json | None:
    """The input that was given in one of the ways there are; None if there is none."""
    if words and words[0] == STDIN:
        if len(words) > 1 or option is not None:
            raise _one_source()
        option = STDIN
    elif words:
        if option is not None:
            raise _one_source()
        return parse_words(words, schema)
    if option is None:
        return None
    if option == STDIN:
        return parse_json(_from_stdin(), "input")
    if option.startswith("@"):
        return parse_json(read_text(Path(option[1:]), "--input"), "input")
    return parse_json(option, "input")


def read_text(path: Path, hint: str) -> str:
    """The text of a file. One that cannot be opened is a usage error."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise typer.BadParameter(f"cannot read {str(path)!r}: {reason}", param_hint=hint) from error
    return _decoded(content, str(path))


def _from_stdin() -> str:
    if sys.stdin.isatty():
        sys.stderr.write(
            "Reading JSON from the terminal; end it with Ctrl-D on a line of its own.\n"
        )
    return _decoded(sys.stdin.buffer.read(), "stdin")


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(name, f"byte {error.start + 1} is not UTF-8")
        raise InvalidInput("the file cannot be read as text", [problem]) from error


def _one_source() -> typer.BadParameter:
    return typer.BadParameter(
        "give the input once: with --input, from stdin (-), or as key=value", param_hint="input"
    )
