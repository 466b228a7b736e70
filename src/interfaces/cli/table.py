"""What commands show to people: tables and sheets, in colour on a terminal and plain elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from cueline.interfaces.cli.text import clean, clean_lines, clip

if TYPE_CHECKING:
    import rich.table
    import rich.text

BAR = 16
"""The width of a progress bar."""

GAP = 2
"""The space between two columns."""

LEAST = 14
"""How narrow a flexible column may become before spare columns are left out instead."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a table. Its text may hold anything: it is made harmless when it is shown."""

    text: str = ""
    style: str = ""
    percent: float | None = None
    """Shown before the text, on a terminal as a bar."""
    many_lines: bool = False
    """Whether a line break is one in a sheet, and not just another character to be escaped."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. On a narrow terminal the flexible ones are cut, and the spare ones left out."""

    title: str
    right: bool = False
    flexible: bool = False
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; `empty` is said on a terminal when there are none."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    empty: str = "There is nothing to show."


@dataclass(frozen=True, slots=True)
class Sheet:
    """Labels with their values, empty ones left out. Several lines stand below their label."""

    fields: Sequence[tuple[str, Cell]]


View: TypeAlias = Table | Sheet | str
"""Something to show. A text alone is a line."""


def plain_lines(view: View) -> Iterator[str]:
    """The view without colours, the same wherever it is written to."""
    match view:
        case Table():
            yield from _plain_table(view)
        case Sheet():
            for label, lines, _ in _entries(view):
                yield f"{label}{lines[0]}" if len(lines) == 1 else label.rstrip()
                yield from (f"  {line}" for line in lines if len(lines) > 1)
        case str():
            yield clean(view)


def rich_view(view: View, *, width: int, unicode: bool) -> rich.table.Table | rich.text.Text:
    """The view for a terminal. Nothing in it is read as markup."""
    from rich.text import Text

    match view:
        case Table() if not view.rows:
            return Text(view.empty, style="dim")
        case Table():
            return _rich_table(_fitted(view, width), unicode=unicode)
        case Sheet():
            return _rich_sheet(view)
        case str():
            return Text(clean(view))


# --- plain ----------------------------------------------------------------------------------------


def _plain_table(table: Table) -> Iterator[str]:
    from rich.cells import cell_len

    lines = [[column.title.upper() for column in table.columns]]
    lines += [[plain_text(cell) for cell in row] for row in table.rows]
    sizes = [[cell_len(value) for value in line] for line in lines]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    for line, size in zip(lines, sizes, strict=True):
        padded = (
            " " * (width - taken) + value if column.right else value + " " * (width - taken)
            for column, value, taken, width in zip(table.columns, line, size, widths, strict=True)
        )
        yield (" " * GAP).join(padded).rstrip()


def plain_text(cell: Cell) -> str:
    """A cell without colours."""
    text = clip(cell.text)
    if cell.percent is None:
        return text
    return f"{cell.percent:.0f}% {text}".rstrip()


def _entries(sheet: Sheet) -> Iterator[tuple[str, list[str], str]]:
    shown = [(label, cell) for label, cell in sheet.fields if cell.text or cell.percent is not None]
    width = max((len(label) for label, _ in shown), default=0) + 2
    for label, cell in shown:
        percent = "" if cell.percent is None else f"{cell.percent:.0f}% "
        text = (percent + cell.text).rstrip()
        lines = clean_lines(text) if cell.many_lines else [clean(text)]
        yield f"{label + ':':<{width}}", lines, cell.style


# --- for a terminal -------------------------------------------------------------------------------


def _fitted(table: Table, width: int) -> Table:
    """The table without the spare columns for which a terminal of this width has no room."""
    from rich.cells import cell_len

    wanted = [
        max(len(column.title), *(_width(row[index], cell_len) for row in table.rows))
        for index, column in enumerate(table.columns)
    ]
    least = [
        min(want, LEAST) if column.flexible else want
        for column, want in zip(table.columns, wanted, strict=True)
    ]
    kept = list(range(len(table.columns)))
    for index in reversed(range(len(table.columns))):
        if sum(least[each] + GAP for each in kept) - GAP <= width:
            break
        if table.columns[index].spare:
            kept.remove(index)
    rows = [[row[index] for index in kept] for row in table.rows]
    return Table(tuple(table.columns[index] for index in kept), rows, table.empty)


def _width(cell: Cell, cell_len: Callable[[str], int]) -> int:
    bar = 0 if cell.percent is None else BAR + len(" 100% ")
    return bar + cell_len(clip(cell.text))


def _rich_table(table: Table, *, unicode: bool) -> rich.table.Table:
    from rich.table import Table as RichTable

    drawn = RichTable(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for column in table.columns:
        # Only columns that may wrap are narrowed; their texts are cut instead of wrapped.
        drawn.add_column(
            column.title.upper(),
            justify="right" if column.right else "left",
            no_wrap=not column.flexible,
            overflow="ellipsis",
        )
    for row in table.rows:
        drawn.add_row(*(_rich_text(cell, unicode=unicode) for cell in row))
    return drawn


def _rich_text(cell: Cell, *, unicode: bool) -> rich.text.Text:
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    if cell.percent is not None:
        done, left = ("━", "━") if unicode else ("#", "-")
        filled = round(BAR * min(100.0, max(0.0, cell.percent)) / 100)
        text.append(done * filled, "green" if filled == BAR else "cyan")
        text.append(left * (BAR - filled), "bright_black")
        text.append(f" {cell.percent:3.0f}% ")
    text.append(clip(cell.text), cell.style or None)
    return text


def _rich_sheet(sheet: Sheet) -> rich.text.Text:
    from rich.text import Text

    text = Text()
    for label, lines, style in _entries(sheet):
        text.append(label if len(lines) == 1 else label.rstrip(), "bold")
        for line in lines:
            text.append(line if len(lines) == 1 else f"\n  {line}", style or None)
        text.append("\n")
    text.rstrip()
    return text
