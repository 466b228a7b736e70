"""The results as bars: one SVG for each figure, to be read on a light ground and on a dark one."""

from __future__ import annotations

from html import escape
from pathlib import Path

from benchmarks.results import Known, Results, Spread
from benchmarks.scenario import Figure, Scenario

LABELS, BARS, VALUES = 190, 400, 150
"""The widths of the three columns, in pixels."""
ROW, HEAD, FOOT = 26, 58, 34

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .dim { fill: #59636e; font-size: 11px }
  .ours { fill: #0969da } .peers { fill: #afb8c1 } .spread { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .dim { fill: #9198a1 }
    .ours { fill: #4493f8 } .peers { fill: #57606a } .spread { stroke: #f0f6fc }
  }
"""


def draw(results: Results, folder: Path) -> list[Path]:
    """Write a plot of each figure that was measured; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for scenario, subjects in results.measured():
        for figure in scenario.figures:
            bars = [(s, spread) for s in subjects if (spread := results.of(s.name, figure.name))]
            if bars:
                path = folder / f"{figure.name}.svg"
                path.write_text(_plot(results, scenario, figure, bars), encoding="utf-8")
                written.append(path)
    return written


def _plot(
    results: Results, scenario: Scenario, figure: Figure, bars: list[tuple[Known, Spread]]
) -> str:
    width, height = LABELS + BARS + VALUES, HEAD + ROW * len(bars) + FOOT
    bars = sorted(bars, key=lambda bar: bar[1].median, reverse=not figure.less_is_better)
    longest = max(spread.most for _, spread in bars) or 1.0
    better = "less is better" if figure.less_is_better else "more is better"
    name = f"{scenario.name}: {figure.title}"
    rows = "".join(
        _row(HEAD + ROW * place, subject, spread, BARS / longest)
        for place, (subject, spread) in enumerate(bars)
    )
    machine = results.machine
    foot = f"{machine.processor}, {machine.cores} cores, Python {machine.python}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(name)}">\n'
        f"<style>{STYLE}</style>\n"
        f'<text class="title" x="8" y="22">{escape(name)}</text>\n'
        f'<text class="dim" x="8" y="42">{escape(figure.unit)}, {better}; '
        "median of the rounds, the line from the least to the most</text>\n"
        f"{rows}"
        f'<text class="dim" x="8" y="{height - 12}">{escape(foot)}</text>\n'
        "</svg>\n"
    )


def _row(top: int, subject: Known, spread: Spread, scale: float) -> str:
    middle, text = top + ROW / 2, top + ROW / 2 + 5
    kind = "ours" if subject.is_cueline else "peers"
    least, most = LABELS + spread.least * scale, LABELS + spread.most * scale
    return (
        f'<text x="{LABELS - 8}" y="{text:g}" text-anchor="end">{escape(subject.name)}</text>'
        f'<rect class="{kind}" x="{LABELS}" y="{top + 4}" rx="2" '
        f'width="{max(spread.median * scale, 1):.1f}" height="{ROW - 8}"/>'
        f'<line class="spread" x1="{least:.1f}" x2="{most:.1f}" y1="{middle:g}" y2="{middle:g}"/>'
        f'<text x="{most + 8:.1f}" y="{text:g}">{spread.median:,.4g}</text>\n'
    )
