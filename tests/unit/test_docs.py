"""The book says what is: its generated pages are up to date, and what claims to run, runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cueline.domain.task import TRANSITIONS
from cueline.domain.workflow.run import RUN_TRANSITIONS, STEP_TRANSITIONS
from cueline.settings import BROKERS, Settings
from docs.backends import adapters, backends_page
from docs.generate import MOST_DIFFERENCES, PAGES, differences, main
from docs.settings import settings_page
from docs.states import MACHINES, states_page
from docs.suites import cases, suites

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# --- generated pages ------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date() -> None:
    assert list(differences(DOCS)) == [], "run `make docs`"


def test_generating_writes_every_page(tmp_path: Path) -> None:
    assert main([], tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
    assert main(["--check"], tmp_path) == 0


def test_the_check_names_a_page_that_is_missing_and_leaves_it_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "--- states.md as it is" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_check_shows_how_a_page_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([], tmp_path)
    page = tmp_path / "states.md"
    page.write_text(page.read_text().replace("running --> succeeded: succeed", "running --> lost"))
    assert main(["--check"], tmp_path) == 1
    shown = capsys.readouterr().out
    assert "-    running --> lost\n+    running --> succeeded: succeed\n" in shown
    assert "1 of 3 pages out of date: run `make docs`" in shown


def test_the_check_shows_a_summary_of_a_page_that_differs_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--check"], tmp_path)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) <= len(PAGES) * (MOST_DIFFERENCES + 1) + 1
    assert any(re.fullmatch(r"\.\.\. and \d+ lines more", line) for line in shown)


def test_the_page_of_states_holds_every_transition_once() -> None:
    page = states_page()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    headings = len(MACHINES)
    transitions = [row for machine in MACHINES for row in machine.transitions.values()]
    assert len(rows) == headings + sum(map(len, transitions))
    assert len(rows) == len(set(rows)) + headings - 1
    for table in (TRANSITIONS, RUN_TRANSITIONS, STEP_TRANSITIONS):
        for state, row in table.items():
            for event, after in row.items():
                assert f"| {state} | {event} | {after} |" in page


def test_every_adapter_that_can_be_selected_passes_the_suite_of_its_port() -> None:
    tried = {suite.adapter for suite in suites() if suite.cases}
    assert [
        f"{port} {kind}"
        for port, kinds in adapters().items()
        for kind, adapter in kinds.items()
        if adapter not in tried
    ] == []


def test_a_test_with_parameters_counts_as_many_cases_as_they_make() -> None:
    @pytest.mark.parametrize("one", [1, 2])
    @pytest.mark.parametrize("two", [1, 2, 3])
    def parametrized() -> None: ...

    def plain() -> None: ...

    assert (cases(parametrized), cases(plain)) == (6, 1)


def test_the_page_of_backends_shows_which_go_together() -> None:
    page = backends_page()
    assert {kind for kinds in BROKERS.values() for kind in kinds} == set(adapters()["broker"])
    assert "| memory | memory |  |  | redis | rabbitmq |" in page
    assert "| postgres | postgres |  | postgres | redis | rabbitmq |" in page


def test_the_page_of_settings_names_every_variable() -> None:
    rows = [line for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert "| `CUELINE_LEASE` | `15s` | how long a silent worker is trusted |" in rows


# --- examples in the text -------------------------------------------------------------------------

RUNNABLE = re.compile(r"<!-- run -->\s*\n```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
"""A block of Python that claims to run: the mark stands on a line of its own before it."""


@dataclass(frozen=True)
class Example:
    place: str
    code: str


def examples_in(text: str, name: str) -> list[Example]:
    return [
        Example(f"{name}:{text[: found.start(1)].count(chr(10)) + 1}", found.group(1))
        for found in RUNNABLE.finditer(text)
    ]


def all_examples() -> list[Example]:
    pages = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/**/*.md")])
    return [
        example
        for page in pages
        for example in examples_in(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    ]


def run(example: Example, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example as a reader would: as a file of its own, in an empty folder."""
    script = folder / "example.py"
    script.write_text(example.code, encoding="utf-8")
    settings = {name: value for name, value in os.environ.items() if "CUELINE" not in name}
    return subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=folder,
        env={**settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_claims_to_run_runs(tmp_path: Path) -> None:
    broken = []
    for number, example in enumerate(all_examples()):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = run(example, folder)
        if done.returncode != 0:
            broken.append(f"{example.place}\n{done.stderr}")
    assert broken == []


def test_only_marked_blocks_of_python_are_taken_for_examples() -> None:
    text = """
```python
not marked
```

<!-- run -->

```python
first = 1
```

<!-- run -->
```bash
not python
```
<!-- run -->
```python
second = 2

second += 1
```
"""
    assert examples_in(text, "page.md") == [
        Example("page.md:9", "first = 1\n"),
        Example("page.md:18", "second = 2\n\nsecond += 1\n"),
    ]


def test_an_example_sees_cueline_and_an_empty_folder(tmp_path: Path) -> None:
    code = "import cueline, os\nassert os.listdir() == ['example.py']\nprint(cueline.__name__)\n"
    assert run(Example("here", code), tmp_path).stdout == "cueline\n"


def test_an_example_that_does_not_run_is_found_out(tmp_path: Path) -> None:
    done = run(Example("here", "first = 1\nprint(second)\n"), tmp_path)
    assert done.returncode == 1
    assert "NameError: name 'second' is not defined" in done.stderr
