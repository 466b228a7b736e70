"""Following a run through the REST API, and showing it as a table that moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

ENDED = frozenset({"succeeded", "compensated", "failed", "compensation_failed", "cancelled"})

_COLOURS = {
    "succeeded": "green",
    "running": "yellow",
    "failed": "red",
    "compensating": "magenta",
    "compensated": "magenta",
}


async def follow(client: httpx2.AsyncClient, run_id: str, console: Console) -> dict[str, Any]:
    """Show the run until it has ended; answer what the API says of it then."""
    if not console.is_terminal:
        return await _tell(client, run_id, console)
    with Live(console=console, auto_refresh=False) as live:
        async for run in _states(client, run_id):
            live.update(_table(run), refresh=True)
    return run


async def _tell(client: httpx2.AsyncClient, run_id: str, console: Console) -> dict[str, Any]:
    """Where a table cannot move, as in a log file: a line for each change, then the table."""
    told: dict[str, str] = {}
    async for run in _states(client, run_id):
        for name, step in run["steps"].items():
            if told.setdefault(name, "waiting") != step["state"]:
                told[name] = step["state"]
                line = f"  {name}: {step['state']} {_remark(step)}".rstrip()
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(_table(run))
    return run


async def _states(client: httpx2.AsyncClient, run_id: str) -> AsyncIterator[dict[str, Any]]:
    """The run as it is now, again and again until it has ended."""
    while True:
        answer = await client.get(f"/api/v1/runs/{run_id}")
        answer.raise_for_status()
        run: dict[str, Any] = answer.json()
        yield run
        if run["state"] in ENDED:
            return
        await asyncio.sleep(0.2)


def _table(run: Mapping[str, Any]) -> Table:
    title = f"{run['workflow']['name']} {run['id']}: {run['state']}"
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in ("step", "state", "attempts", "time", "progress"):
        table.add_column(column, justify="right" if column in ("attempts", "time") else "left")
    for name, step in run["steps"].items():
        table.add_row(
            name,
            Text(step["state"], style=_COLOURS.get(step["state"], "dim")),
            str(step["attempts"] or ""),
            _duration(step),
            _remark(step),
        )
    return table


def _duration(step: Mapping[str, Any]) -> str:
    if not step["started_at"]:
        return ""
    end = _moment(step["ended_at"]) if step["ended_at"] else datetime.now(UTC)
    return f"{max(0.0, (end - _moment(step['started_at'])).total_seconds()):.1f} s"


def _moment(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def _remark(step: Mapping[str, Any]) -> str:
    if step["error"]:
        return str(step["error"]["message"])
    progress = step["progress"]
    if not progress:
        return ""
    percent = "" if progress["percent"] is None else f"{progress['percent']:.0f} % "
    return f"{percent}{progress['message']}"
