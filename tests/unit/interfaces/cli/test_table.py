"""Tables and sheets: aligned by what a terminal shows, whatever is in them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cueline.interfaces.cli.table import Cell, Column, Sheet, Table, View, plain_lines, rich_view

COLUMNS = (Column("name"), Column("count", right=True), Column("note", flexible=True))


def a_table(*rows: tuple[str, str, str]) -> Table:
    return Table(COLUMNS, [[Cell(value) for value in row] for row in rows], "Nothing here.")


def drawn(view: View, *, width: int = 80, unicode: bool = True) -> list[str]:
    """What a terminal of this width shows."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    console.print(rich_view(view, width=width, unicode=unicode))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_plain_table_is_aligned_without_tabs_or_trailing_spaces() -> None:
    lines = list(plain_lines(a_table(("a", "1", "x"), ("bcd", "1000", ""))))

    assert lines == ["NAME  COUNT  NOTE", "a         1  x", "bcd    1000"]


def test_a_plain_table_without_rows_is_its_head() -> None:
    assert list(plain_lines(a_table())) == ["NAME  COUNT  NOTE"]


def test_wide_characters_take_two_cells() -> None:
    lines = list(plain_lines(a_table(("漢字", "1", "x"), ("abcde", "2", "y"))))

    assert lines == ["NAME   COUNT  NOTE", "漢字       1  x", "abcde      2  y"]


def test_a_line_break_in_a_value_does_not_break_the_table() -> None:
    lines = list(plain_lines(a_table(("a\nb", "1", "\x1b[2J"))))

    assert lines == ["NAME  COUNT  NOTE", r"a\nb      1  \x1b[2J"]


def test_a_very_long_value_is_cut() -> None:
    [_, line] = plain_lines(a_table(("a", "1", "x" * 10_000)))

    assert line.endswith("x…")
    assert len(line) < 200


def test_progress_is_a_number_where_there_is_no_terminal() -> None:
    table = Table((Column("progress"),), [[Cell("page 3", percent=41.6)], [Cell(percent=0.0)]])

    assert list(plain_lines(table)) == ["PROGRESS", "42% page 3", "0%"]


def test_a_sheet_leaves_out_what_is_empty_and_puts_many_lines_below_their_label() -> None:
    error = Cell("boom\n\x1b[1m at x", many_lines=True)
    sheet = Sheet([("id", Cell("7")), ("key", Cell()), ("error", error)])

    assert list(plain_lines(sheet)) == ["id:    7", "error:", "  boom", r"  \x1b[1m at x"]
    assert drawn(sheet) == ["id:    7", "error:", "  boom", r"  \x1b[1m at x"]


def test_a_value_of_one_line_cannot_forge_another() -> None:
    sheet = Sheet([("key", Cell("x\nstate: succeeded"))])

    assert list(plain_lines(sheet)) == [r"key: x\nstate: succeeded"]


@pytest.mark.parametrize("hostile", ["[red]x[/red]", "[/]", "[link=http://x]y[/link]", ":smile:"])
def test_nothing_in_a_value_is_read_as_markup(hostile: str) -> None:
    assert drawn(a_table((hostile, "1", hostile)))[1].split() == [hostile, "1", hostile]
    assert drawn(Sheet([("note", Cell(hostile))])) == [f"note: {hostile}"]
    assert drawn(hostile) == [hostile]


def test_on_a_narrow_terminal_flexible_columns_are_cut() -> None:
    lines = drawn(a_table(("a" * 10, "1", "x" * 50)), width=40)

    assert lines[1] == "a" * 10 + "      1  " + "x" * 20 + "…"


def test_on_a_narrow_terminal_spare_columns_are_left_out_from_the_last() -> None:
    columns = (Column("id"), Column("one", spare=True), Column("two", spare=True), Column("end"))
    table = Table(columns, [[Cell("x" * 10), Cell("1" * 10), Cell("2" * 10), Cell("3" * 10)]])

    assert drawn(table, width=50)[0].split() == ["ID", "ONE", "TWO", "END"]
    assert drawn(table, width=40)[0].split() == ["ID", "ONE", "END"]
    assert drawn(table, width=25)[0].split() == ["ID", "END"]


def test_an_empty_table_says_so_on_a_terminal() -> None:
    assert drawn(a_table()) == ["Nothing here."]


@pytest.mark.parametrize(("unicode", "bar"), [(True, "━" * 16), (False, "#" * 8 + "-" * 8)])
def test_progress_is_a_bar_on_a_terminal(unicode: bool, bar: str) -> None:
    table = Table((Column("progress"),), [[Cell("half", percent=50.0)]])

    assert drawn(table, unicode=unicode)[1] == f"{bar}  50% half"


@pytest.mark.parametrize("percent", [-5.0, 0.0, 250.0])
def test_a_bar_keeps_its_length_whatever_was_reported(percent: float) -> None:
    table = Table((Column("progress"),), [[Cell("", percent=percent)]])

    assert drawn(table, unicode=False)[1].split()[0] in ("#" * 16, "-" * 16)
