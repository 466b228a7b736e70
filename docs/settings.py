"""The page of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cueline.domain.duration import duration_text
from cueline.settings import Settings

INTRODUCTION = """\
Variables of the environment; most can also be given to a command (`cueline serve --help`). A time
is written `500ms`, `30s` or `1m30s`, or as a number of seconds; a list, with commas."""


def settings_page() -> str:
    """The table of all settings."""
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- Written by `make docs` from src/settings.py; a change here is lost. -->",
            "",
            INTRODUCTION,
            "",
            "| variable | default | what it says |",
            "|---|---|---|",
            *_rows(),
            "",
            "What the stores and brokers can and cannot do: [backends.md](backends.md).",
            "",
        ]
    )


def _rows() -> Iterator[str]:
    prefix = Settings.model_config["env_prefix"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory else _default(field.default)
        yield f"| `{prefix}{name.upper()}` | {default} | {field.description} |"


def _default(value: Any) -> str:
    match value:
        case None | ():
            return ""
        case timedelta():
            return f"`{duration_text(value)}`"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"
