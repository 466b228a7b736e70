"""On a terminal: colours, live views, and nothing that others wrote acts on it."""

from __future__ import annotations

import json
import re

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, WorkerId, step_task_id
from cueline.domain.json import Json
from cueline.domain.retry import NO_RETRY
from cueline.domain.task import Task
from tests.doubles import NOW
from tests.factories import a_step, a_task, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import nothing

HOSTILE = "[red]x[/] \x1b]0;title\x07\x1b[2J\r\n\x9b1A\u202e"
HARMLESS = r"[red]x[/] \x1b]0;title\x07\x1b[2J\r\n\x9b1A\u202e"

STYLING = re.compile(r"\x1b\[[0-9;]*m")
REDRAWING = re.compile(r"\x1b\[(?:[0-9]*[AK]|2K|\?25[hl])|\r")


def hostile_task() -> Task:
    """A task in which everything that users write is hostile."""
    task = a_task(input={"a": HOSTILE}, tags=(HOSTILE,), key=HOSTILE, retry=NO_RETRY)
    failure = Failure(HOSTILE, HOSTILE, f"Traceback\n  {HOSTILE}")
    return task.claim(WorkerId(HOSTILE), NOW).fail(failure, NOW, 0.0)


def shown(text: str) -> str:
    """What a terminal shows, once the colours and the redrawing that are ours are taken away."""
    return REDRAWING.sub("", STYLING.sub("", text))


@pytest.mark.parametrize("on_terminal", [True, False])
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("command", ["list", "show", "attempts", "watch", "logs", "explain"])
def test_nothing_in_a_task_acts_on_the_terminal(
    cli: CommandLine,
    request: pytest.FixtureRequest,
    command: str,
    as_json: bool,
    on_terminal: bool,
) -> None:
    if on_terminal:
        request.getfixturevalue("terminal")
    task = hostile_task()
    cli.put(task)
    entry = LogEntry(task.id, 1, NOW, HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    cli.do(cli.harness.app.record([entry]))

    words = [command] if command == "list" else [command, task.id]
    env = {"FORCE_COLOR": "1"} if on_terminal else {}
    result = cli("tasks", *words, *(["--json"] if as_json else []), env=env)

    left = shown(result.stdout).replace("\n", "")
    assert left.isprintable(), left
    assert result.stderr == ""
    if as_json:
        assert json.loads(result.stdout.splitlines()[0] if command == "watch" else result.stdout)


def test_a_hostile_task_is_shown_with_its_escapes(cli: CommandLine) -> None:
    task = hostile_task()
    cli.put(task)

    assert f"key:      {HARMLESS}" in cli.text("tasks", "show", task.id)


def test_an_error_quotes_what_was_typed_without_its_control_characters(cli: CommandLine) -> None:
    for words in (("submit", HOSTILE), ("tasks", "show", HOSTILE), ("runs", "start", HOSTILE)):
        result = cli(*words)

        assert result.exit_code in (3, 4)
        assert result.stderr.replace("\n", "").isprintable()


@pytest.mark.usefixtures("terminal")
def test_states_have_colours_on_a_terminal(cli: CommandLine) -> None:
    cli.put(hostile_task())

    result = cli("tasks", "list", env={"FORCE_COLOR": "1"})

    assert "\x1b[1;31mfailed" in result.stdout


@pytest.mark.usefixtures("terminal")
def test_json_has_no_colours_even_on_a_terminal(cli: CommandLine) -> None:
    cli.put(hostile_task())

    assert "\x1b" not in cli("tasks", "list", "--json", env={"FORCE_COLOR": "1"}).stdout


@pytest.mark.usefixtures("terminal")
def test_an_empty_listing_says_so_on_a_terminal(cli: CommandLine) -> None:
    assert "There are no such tasks." in cli.text("tasks", "list")


@pytest.mark.usefixtures("terminal")
def test_a_narrow_terminal_keeps_the_id_whole(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())

    lines = cli("tasks", "list", env={"COLUMNS": "60", "FORCE_COLOR": "1"}).stdout.splitlines()

    assert task.id in lines[1]
    assert all(len(shown(line)) <= 60 for line in lines)


@pytest.mark.usefixtures("terminal")
def test_a_run_is_drawn_over_and_over_while_it_is_watched(cli: CommandLine) -> None:
    h = cli.harness
    steps = [a_step("a", task="reserve"), a_step("b", task="charge", after="a")]
    run = cli.do(h.start(a_workflow(steps=steps)))

    async def report() -> None:
        await h.claim_one()
        id = step_task_id(run.id, "a", Purpose.WORK)
        fields: dict[str, Json] = {"percent": 50.0}
        await h.app.record([LogEntry(id, 1, NOW, "progress", "half \x1b[2J", fields)])

    async def recover() -> None:
        h.clock.advance(3600)
        await h.app.maintain()

    cli.meanwhile(nothing, nothing, report, nothing, recover)
    result = cli("runs", "watch", run.id, env={"FORCE_COLOR": "1"})

    assert result.exit_code == 1
    assert "waits in queue default" in result.stdout
    assert "━━━━━━━━" in result.stdout
    assert r"50% half \x1b[2J" in shown(result.stdout)
    assert "\x1b[2K" in result.stdout  # what was drawn before is cleared
    assert shown(result.stdout).replace("\n", "").isprintable()
    assert f"Run {run.id} of order v1 is failed: WorkerLost" in shown(result.stdout)


@pytest.mark.usefixtures("terminal")
def test_a_run_with_more_steps_than_lines_shows_those_that_matter(cli: CommandLine) -> None:
    h = cli.harness
    steps = [a_step(f"s{n}", task="pack", after=f"s{n - 1}" if n else "") for n in range(40)]
    run = cli.do(h.start(a_workflow(steps=steps)))
    cli.do(h.work(at_most=20))

    async def cancel() -> None:
        await h.app.runs.cancel(run.id)

    cli.meanwhile(nothing, nothing, cancel)
    env = {"FORCE_COLOR": "1", "LINES": "16"}
    text = shown(cli("runs", "watch", run.id, env=env).stdout)

    assert "... and 30 more: 11 succeeded, 19 waiting" in text
    assert "s20" in text
    assert "s39" not in text


def test_an_output_that_cannot_encode_a_character_still_gets_the_answer(
    cli: CommandLine,
) -> None:
    task = a_task(tags=("漢",))
    cli.put(task)

    assert r"tags:     \u6f22" in cli("tasks", "show", task.id, charset="ascii").stdout
    document = json.loads(cli("tasks", "show", task.id, "--json", charset="ascii").stdout)
    assert document["tags"] == ["漢"]
