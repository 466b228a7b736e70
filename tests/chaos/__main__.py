"""The long table from the command line; `python -m tests.chaos --help` says how."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from tests.chaos.campaign import run_row
from tests.chaos.figures import CAPTION, Figures, complaints, heading, line
from tests.chaos.places import Places
from tests.chaos.rows import BY_NAME, ROWS, Row
from tests.chaos.workers import Nursery
from tests.integration.servers.choice import NoServer

TELLING = 30.0
"""How often it is told how far a row is where there is no screen, in seconds."""


def main() -> int:
    """Run the rows that the arguments name; 1 if something happened that must never happen."""
    logging.disable(logging.CRITICAL)  # that servers are away is no news here
    arguments = _arguments()
    rows = [BY_NAME[name] for name in arguments.only] if arguments.only else list(ROWS)
    try:
        figures = asyncio.run(_run(rows, arguments))
    except NoServer as error:
        sys.exit(f"the table needs its servers: {error}")
    if arguments.json is not None:
        document = {name: each.document() for name, each in figures.items()}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(not all(each.is_clean for each in figures.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", action="store_true", help="as many faults as CI makes (default)")
    length.add_argument("--long", action="store_true", help="as many as it takes to be sure")
    length.add_argument("--faults", type=int, metavar="N", help="so many in each row")
    parser.add_argument("--only", nargs="+", choices=list(BY_NAME), help="run these rows only")
    parser.add_argument("--seed", type=int, default=0, help="of the moments that are chosen")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write the figures too")
    return parser.parse_args()


async def _run(rows: list[Row], arguments: argparse.Namespace) -> dict[str, Figures]:
    figures: dict[str, Figures] = {}
    screen = Screen()
    async with Places() as places:
        with Nursery() as nursery:
            screen.say(heading())
            for row in rows:
                if row.breaks and not (await places.server(row.breaks)).controllable:
                    screen.say(f"{row.name}: not run: {row.breaks} is not ours to break")
                    continue
                count = arguments.faults or (row.long if arguments.long else row.short)
                found = await run_row(row, count, places, nursery, arguments.seed, screen.tell)
                figures[row.name] = found
                screen.say(line(row.name, found))
                for complaint in complaints(row.name, found):
                    screen.say(f"  {complaint}")
        total = Figures()
        for each in figures.values():
            total.merge(each)
        screen.say(line("all", total))
        screen.say(CAPTION)
        for told in places.told:
            screen.say(told)
    return figures


class Screen:
    """Lines that stay, and one below them that tells how far it is."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told_at = time.monotonic()

    def say(self, text: str) -> None:
        """Show a line that stays."""
        if self._is_terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Show how far it is: on a terminal always, elsewhere now and then."""
        if self._is_terminal:
            sys.stderr.write(f"\r\033[K{text}")
        elif time.monotonic() - self._told_at > TELLING:
            self._told_at = time.monotonic()
            sys.stderr.write(f"  {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
