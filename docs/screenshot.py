"""Make the README's picture of a run in a store: `python -m docs.screenshot STORE RUN`."""

from __future__ import annotations

import os
import pty
import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
PICTURE = Path(__file__).parent / "run.svg"


def main(store: str, run: str) -> None:
    """Run the command line on a terminal of its own, and draw what it shows."""
    os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "FORCE_COLOR": "1"}
    shown = bytearray()

    def read(descriptor: int) -> bytes:
        shown.extend(data := os.read(descriptor, 4096))
        return data

    pty.spawn([sys.executable, "-m", "cueline", "--store", store, "runs", "watch", run], read)
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text("$ cueline runs watch " + run, style="bold"))
    last_frame = shown.decode().rsplit("\x1b[2K", 1)[-1].replace("\r\n", "\n")
    console.print(Text.from_ansi(last_frame))
    # Without the fonts that rich would have the reader's browser fetch from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="cueline"), flags=re.S)
    PICTURE.write_text(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
