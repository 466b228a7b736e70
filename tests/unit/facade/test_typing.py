"""What mypy says of calls of a handler through the façade."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from mypy import api

ROOT = Path(__file__).parents[3]

SOURCE = """
    from cueline import App, Context
    from cueline.app import TaskRef

    app = App("shop")

    @app.task
    def plain(order_id: int, note: str = "") -> str:
        return note

    @app.task
    def plain_in_context(ctx: Context, order_id: int, note: str = "") -> str:
        return note

    @app.task
    async def coroutine(order_id: int, note: str = "") -> str:
        return note

    @app.task(queue="mail", timeout="30s")
    async def coroutine_in_context(ctx: Context, order_id: int, note: str = "") -> str:
        return note

    async def right() -> None:
        ref: TaskRef = await {handler}.submit(order_id=7)
        ref = await {handler}.submit(7, note="now")
        ref = await {handler}.with_options(key="k").submit(7, "now")
        ref = {handler}.submit_sync(order_id=7)

    async def wrong() -> None:
        await {handler}.submit(order=7)  # a name that is not there
        await {handler}.submit(order_id="seven")  # a type that is not right
        await {handler}.submit()  # a parameter that is missing
        await {handler}.submit(7, "now", 3)  # one too many
        await {handler}.with_options(key="k").submit(order_id="seven")  # options change nothing
        {handler}.submit_sync(order_id="seven")  # nor does the way it is sent
"""
HANDLERS = ("plain", "plain_in_context", "coroutine", "coroutine_in_context")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines of which mypy says something, by handler; it is asked once, as it is slow."""
    folder = tmp_path_factory.mktemp("typing")
    for handler in HANDLERS:
        (folder / f"use_{handler}.py").write_text(dedent(SOURCE).replace("{handler}", handler))
    limit = sys.getrecursionlimit()
    answer, trouble, _ = api.run(
        [
            *("--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"),
            *("--cache-dir", str(ROOT / ".mypy_cache")),  # that of `make types`, so mostly warm
            *(str(folder / f"use_{handler}.py") for handler in HANDLERS),
        ]
    )
    sys.setrecursionlimit(limit)  # mypy raises it, and other tests go to the limit
    assert not trouble
    lines: dict[str, set[int]] = {handler: set() for handler in HANDLERS}
    for handler, line in re.findall(r"use_(\w+)\.py:(\d+): error", answer):
        lines[handler].add(int(line))
    return lines


def lines_of(what: str) -> set[int]:
    """The numbers of the lines with a call, in the function of this name."""
    _, text = dedent(SOURCE).split(f"async def {what}() -> None:\n")
    before = dedent(SOURCE).index(text)
    first = dedent(SOURCE)[:before].count("\n") + 1
    body = text.split("\n\n")[0].rstrip().splitlines()
    return {first + offset for offset in range(len(body))}


@pytest.mark.parametrize("handler", HANDLERS)
def test_right_calls_are_accepted_and_wrong_ones_refused(
    said: dict[str, set[int]], handler: str
) -> None:
    assert not said[handler] & lines_of("right")
    assert said[handler] == lines_of("wrong")
