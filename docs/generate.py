"""Writes the pages of the book that follow from the code.

`python -m docs.generate` writes them; with `--check` it writes nothing, shows how each page differs
from what it should be, and answers 1 if one does.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from docs.backends import backends_page
from docs.settings import settings_page
from docs.states import states_page

FOLDER = Path(__file__).parent
MOST_DIFFERENCES = 20
"""How many lines of a page's differences are shown."""

PAGES: Mapping[str, Callable[[], str]] = {
    "backends.md": backends_page,
    "settings.md": settings_page,
    "states.md": states_page,
}
"""The generated pages, by name."""


def differences(folder: Path) -> Iterator[str]:
    """For each page in the folder that is not as it should be, what is wrong with it."""
    for name, page in PAGES.items():
        path = folder / name
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = list(
            difflib.unified_diff(
                present.splitlines(), page().splitlines(), f"{name} as it is", "as it should be"
            )
        )
        if lines:
            left = len(lines) - MOST_DIFFERENCES
            more = [f"... and {left} lines more"] if left > 0 else []
            yield "\n".join(line.rstrip() for line in [*lines[:MOST_DIFFERENCES], *more])


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    if parser.parse_args(arguments).check:
        found = list(differences(folder))
        for difference in found:
            print(difference)
        if found:
            print(f"{len(found)} of {len(PAGES)} pages out of date: run `make docs`")
        return 1 if found else 0
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
