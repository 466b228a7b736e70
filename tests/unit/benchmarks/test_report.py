import json
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.console import Console

from benchmarks.floors import verdicts
from benchmarks.options import parse
from benchmarks.plots import BARS, draw
from benchmarks.tables import show, show_verdicts
from tests.unit.benchmarks.results import ON_REDIS, OURS, make_results

SVG = "{http://www.w3.org/2000/svg}"


def printer() -> Console:
    return Console(width=200, record=True, file=StringIO())


def test_the_table_has_median_spread_and_ratio_to_the_fastest_peer() -> None:
    ours = [(OURS, "drain_1", value) for value in (9_000.0, 12_000.0, 10_000.0)]
    results = make_results(*ours, (ON_REDIS, "drain_1", 2_000.0))
    console = printer()
    show(results, console)
    printed = console.export_text()
    assert "10,000 x 5.00" in printed
    assert "9,000 to 12,000" in printed
    assert "python -m benchmarks --only drain" in printed
    assert "a processor, 2 cores" in printed


def test_what_failed_is_told() -> None:
    results = make_results((OURS, "drain_1", 1.0))
    results.failures.append("chains, cueline-postgres: it did not start")
    console = printer()
    show(results, console)
    assert "it did not start" in console.export_text()


def test_the_verdict_names_what_was_missed() -> None:
    results = make_results((OURS, "enqueue_one", 2_000.0), (OURS, "latency_p50", 1.0))
    console = printer()
    assert not show_verdicts(verdicts(results), console)
    printed = console.export_text()
    assert "missed cueline-postgres: one at a time 2,000 tasks/s, promised ≥ 2,500" in printed
    assert "kept   cueline-postgres: median 1 ms, promised ≤ 2.5" in printed


def test_the_document_has_each_figure_with_the_command_that_measures_it_again() -> None:
    results = make_results((OURS, "drain_1", 1.0), (OURS, "drain_1", 3.0))
    document = json.loads(json.dumps(results.document()))
    assert document["machine"]["ns_per_addition"] == 30.0
    [figure] = document["figures"]
    assert figure == {
        "subject": "cueline-postgres",
        "scenario": "drain",
        "figure": "drain_1",
        "unit": "tasks/s",
        "median": 2.0,
        "least": 1.0,
        "most": 3.0,
        "rounds": [1.0, 3.0],
        "command": "python -m benchmarks --only drain --subjects cueline-postgres",
    }


def test_a_plot_has_a_bar_for_each_subject_as_long_as_its_median(tmp_path: Path) -> None:
    ours = [(OURS, "drain_1", value) for value in (1_000.0, 2_000.0, 4_000.0)]
    [path] = draw(make_results((ON_REDIS, "drain_1", 1_000.0), *ours), tmp_path / "plots")
    assert path.name == "drain_1.svg"
    bars = list(ET.parse(path).iter(f"{SVG}rect"))
    assert [bar.attrib["class"] for bar in bars] == ["ours", "peers"]
    # The most of all rounds fills the column; the bars are the medians.
    assert [float(bar.attrib["width"]) for bar in bars] == [BARS / 2, BARS / 4]


def test_the_command_that_is_printed_asks_for_the_same_again() -> None:
    words = ["--quick", "--rounds", "2", "--slots", "7", "--processes", "1", "4", "--tasks", "9"]
    options = parse(words)
    assert (options.rounds, options.slots, options.scale.tasks) == (2, 7, 9)
    again = parse(options.command.split()[3:])
    assert (again.rounds, again.slots, again.processes) == (2, 7, (1, 4))
    assert again.scale == options.scale


def test_large_scenarios_are_run_only_if_asked_for() -> None:
    usual = {scenario.name for scenario in parse([]).scenarios}
    assert not usual & {"backlog", "history"}
    assert {scenario.name for scenario in parse(["--large"]).scenarios} >= {"backlog", "history"}
    assert [scenario.name for scenario in parse(["--only", "backlog"]).scenarios] == ["backlog"]
