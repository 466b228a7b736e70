"""The benchmark runs. What it measures so, with next to nothing to do, means nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.processes import ROOT

FEW = ("--tasks", "40", "--requests", "20", "--connections", "4")


async def benchmark(*words: str) -> tuple[int, str]:
    """Its exit status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()  # it ends its own processes then
    assert process.returncode is not None
    return process.returncode, printed.decode()


@pytest.mark.timeout(300)  # it starts a dozen processes, one after the other
async def test_it_measures_prints_writes_and_draws(tmp_path: Path) -> None:
    file, plots = tmp_path / "figures.json", tmp_path / "plots"
    code, printed = await benchmark(
        *("--subjects", "cueline-sqlite", "--only", "drain", "http", *FEW),
        *("--processes", "1", "--json", str(file), "--plots", str(plots)),
    )
    assert code == 0, printed
    document = json.loads(file.read_text())
    figures = {figure["figure"]: figure["median"] for figure in document["figures"]}
    assert set(figures) == {"drain_1", "worker_cpu", "http", "http_empty", "http_share"}
    assert all(value >= 0 for value in figures.values())
    assert document["failures"] == []
    assert {path.stem for path in plots.iterdir()} == set(figures)
    assert "python -m benchmarks --quick" in printed


async def test_it_says_that_there_is_no_such_subject() -> None:
    code, printed = await benchmark("--subjects", "abacus")
    assert code == 1
    assert "there is no abacus" in printed
