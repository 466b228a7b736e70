"""The results on the terminal: a table for each scenario, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from benchmarks.floors import Verdict
from benchmarks.results import Known, Results, Spread
from benchmarks.scenario import Figure, Scenario


def show(results: Results, console: Console) -> None:
    """Print everything that was measured."""
    for scenario, subjects in results.measured():
        console.print(f"\n[bold]{scenario.name}[/]: {scenario.about}", highlight=False)
        console.print(_table(results, scenario, subjects))
        console.print(f"[dim]{results.command_for(scenario)}[/]", highlight=False)
    console.print()
    console.print(f"[dim]{results.machine.caption}[/]", highlight=False)
    for subject in results.subjects:
        console.print(f"[dim]{subject.name}: {subject.settings}[/]", highlight=False)
    for failure in results.failures:
        console.print(f"[red]failed[/] {failure}", highlight=False)


def show_verdicts(verdicts: Iterable[Verdict], console: Console) -> bool:
    """Print which promises were kept; whether all were."""
    console.print()
    all_kept = True
    for verdict in verdicts:
        word = "[green]kept  [/]" if verdict.is_kept else "[red]missed[/]"
        console.print(f"{word} {verdict}", highlight=False)
        all_kept = all_kept and verdict.is_kept
    return all_kept


def _table(results: Results, scenario: Scenario, subjects: list[Known]) -> Table:
    figures = [
        figure
        for figure in scenario.figures
        if any(results.of(subject.name, figure.name) for subject in subjects)
    ]
    table = Table()
    table.add_column("subject", no_wrap=True)
    for figure in figures:
        table.add_column(f"{figure.title}\n[dim]{figure.unit}[/]", justify="right")
    for subject in subjects:
        table.add_row(subject.name, *(_cell(results, subject, figure) for figure in figures))
    return table


def _cell(results: Results, subject: Known, figure: Figure) -> str:
    """The median, its ratio to the fastest peer's, and below it the spread of the rounds."""
    spread = results.of(subject.name, figure.name)
    if spread is None:
        return ""
    peer = results.fastest_peer(figure) if subject.is_cueline else None
    ratio = f" [bold]x {_short(spread.median / peer)}[/]" if peer else ""
    return f"{_short(spread.median)}{ratio}{_apart(spread)}"


def _apart(spread: Spread) -> str:
    if spread.least == spread.most:
        return ""
    return f"\n[dim]{_short(spread.least)} to {_short(spread.most)}[/]"


def _short(value: float) -> str:
    """Three digits at least, and all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
