"""The invoice demo: `python -m examples.invoices.demo [--mail down]`.

It starts a Ninox-like database, a mail server and Cueline, runs the invoice workflow through the
REST API, and leaves invoices, mails and books in a folder. With `--mail down` the mail server
refuses every mail for good, and one sees the invoice records voided.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console

from examples.invoices.books import Books
from examples.invoices.dataset import TODAY
from examples.invoices.letter import money
from examples.invoices.ninox import DATABASE, DEMO_TOKEN, TEAM
from examples.invoices.postbox import open_postbox
from examples.invoices.processes import NotStartedError, free_port, ninox, service
from examples.invoices.watch import follow

SINCE = TODAY - timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    mail_down: bool
    weekly: bool
    keep: bool
    port: int
    out: Path

    @property
    def books(self) -> Path:
        """The shop's books."""
        return self.out / "books.db"


async def run_demo(options: Options, console: Console) -> bool:
    """Start everything, run the workflow, stop everything; whether it went as it should."""
    (options.out / "invoices").mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(ninox(DEMO_TOKEN, hiccups=1))
        mails = options.out / "mails"
        smtp = await stack.enter_async_context(open_postbox(mails, refusing=options.mail_down))
        environment = {
            "CUELINE_STORE": f"sqlite:///{options.out / 'cueline.db'}",
            "CUELINE_SMTP": f"smtp://127.0.0.1:{smtp}",
            "NINOX_URL": f"{database}/v1/teams/{TEAM}/databases/{DATABASE}",
            "NINOX_TOKEN": DEMO_TOKEN,
            "INVOICES_DIR": str(options.out / "invoices"),
            "BOOKS": str(options.books),
        }
        port = options.port or free_port()
        log = options.out / "service.log"
        client = await stack.enter_async_context(service(port, environment, log))
        manner = "refuses every mail" if options.mail_down else "takes every mail"
        console.print(f"Ninox-like database: {database}")
        console.print(f"Mail server:         smtp://127.0.0.1:{smtp}, {manner}")
        console.print(f"Cueline:             {client.base_url}\n")
        good = await _run_workflows(client, options, console)
        _summarize(options, console)
        if options.keep:
            console.print(f"\nStill serving on {client.base_url}; end with Ctrl-C.")
            await asyncio.Event().wait()
        return good


async def _run_workflows(client: httpx2.AsyncClient, options: Options, console: Console) -> bool:
    input = {"since": SINCE.isoformat(), "day": TODAY.isoformat()}
    run = await _run(client, "invoice", input, console)
    if options.mail_down:
        records = Books(options.books).entries()
        voided = all(record.state == "void" for record in records)
        return bool(records) and voided and run["state"] == "compensated"
    good: bool = run["state"] == "succeeded"
    if options.weekly:
        weekly = await _run(client, "weekly-mail", {"day": TODAY.isoformat()}, console)
        good = good and weekly["state"] == "succeeded"
    return good


async def _run(
    client: httpx2.AsyncClient, workflow: str, input: dict[str, str], console: Console
) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/workflows/{workflow}/runs", json={"input": input})
    answer.raise_for_status()
    return await follow(client, answer.json()["id"], console)


def _summarize(options: Options, console: Console) -> None:
    """Say what is in the folder now, by what is there and not by what should be."""
    records = Books(options.books).entries()
    standing = [record for record in records if record.state == "open"]
    void = [record.number for record in records if record.state == "void"]
    gross = money(sum(record.gross for record in standing))
    pdfs = len(list((options.out / "invoices").glob("*.pdf")))
    mails = len(list((options.out / "mails").glob("*.eml")))
    console.print(f"\n[bold]{len(standing)} invoices over {gross}[/]")
    if void:
        console.print(
            f"[bold]{len(void)} invoices voided by compensation[/]: {void[0]} to {void[-1]}"
        )
    console.print(f"{pdfs} PDFs, {mails} mails, the books and the service's log are in")
    # Not wrapped: a path is there to be copied.
    console.print(str(options.out), soft_wrap=True, highlight=False)


def main() -> int:
    """Run the demo; 0 if it went as it should, 1 if not, 130 if it was interrupted."""
    options = _options()
    console = Console()
    try:
        return 0 if asyncio.run(_until_told_to_stop(options, console)) else 1
    except (NotStartedError, httpx2.HTTPError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


async def _until_told_to_stop(options: Options, console: Console) -> bool:
    """SIGTERM ends the demo as Ctrl-C does: everything that it started is stopped."""
    running = asyncio.ensure_future(run_demo(options, console))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    return await running


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m examples.invoices.demo", description=__doc__)
    parser.add_argument("--mail", choices=("up", "down"), default="up", help="the mail server")
    parser.add_argument("--weekly", action="store_true", help="then send the grouped mails, too")
    parser.add_argument("--keep", action="store_true", help="keep serving until Ctrl-C")
    parser.add_argument("--port", type=int, default=0, help="of the API; 0 picks a free one")
    parser.add_argument("--out", type=Path, help="default: demo-output/TIME")
    given = parser.parse_args()
    now = datetime.now().astimezone()
    out: Path = given.out or Path("demo-output") / f"{now:%Y%m%d-%H%M%S}"
    if any((out / name).exists() for name in ("books.db", "cueline.db")):
        parser.error(f"{out} holds an earlier demo; name another folder")
    return Options(
        mail_down=given.mail == "down",
        weekly=given.weekly,
        keep=given.keep,
        port=given.port,
        out=out.resolve(),
    )


if __name__ == "__main__":
    sys.exit(main())
