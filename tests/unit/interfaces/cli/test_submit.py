"""Submitting from the command line."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.domain.task import Task, TaskState
from tests.doubles import NOW
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import nothing


def refuse(_task: Task) -> Json:
    raise ValueError("no such\x1b[2J order")


def test_a_task_is_submitted_with_its_input_as_words(cli: CommandLine) -> None:
    answer = cli.document("submit", "send", "order=7", "name=Anna", "lines:=[1, 2]")

    assert answer["created"] is True
    assert answer["state"] == "queued"
    assert answer["input"] == {"order": 7, "name": "Anna", "lines": [1, 2]}
    assert cli.document("tasks", "show", answer["id"])["input"] == answer["input"]


def test_a_submitted_task_is_told_in_a_sentence(cli: CommandLine) -> None:
    text = cli.text("submit", "print")

    [item] = cli.document("tasks", "list")["items"]
    assert text == f"Task {item['id']} is submitted: queued in queue printer.\n"


def test_input_may_be_an_option(cli: CommandLine) -> None:
    assert cli.document("submit", "send", "--input", '{"a": [1]}')["input"] == {"a": [1]}


def test_input_may_come_from_a_file(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_bytes('\ufeff{"name": "Zoë 漢字"}'.encode())

    answer = cli.document("submit", "send", "-i", f"@{tmp_path / 'input.json'}")

    assert answer["input"] == {"name": "Zoë 漢字"}


@pytest.mark.parametrize("words", [("-",), ("--input", "-")])
def test_input_may_come_from_stdin(cli: CommandLine, words: tuple[str, ...]) -> None:
    assert cli.document("submit", "send", *words, stdin='{"a": "é"}')["input"] == {"a": "é"}


def test_input_that_is_not_utf8_is_refused(cli: CommandLine) -> None:
    result = cli("submit", "send", "-", stdin=b'{"a": "\xff"}')

    assert result.exit_code == 4
    assert result.stderr == "Error: the file cannot be read as text\n  stdin: byte 8 is not UTF-8\n"


@pytest.mark.parametrize(
    "words",
    [
        ("a=1", "--input", "{}"),
        ("-", "a=1"),
        ("-", "--input", "{}"),
        ("--input", "@/nowhere/at/all.json"),
    ],
)
def test_input_given_twice_or_from_nowhere_is_a_usage_error(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    code, error = cli.error("submit", "send", *words)

    assert (code, error["type"]) == (2, "usage")
    assert cli.document("tasks", "list")["items"] == []


def test_the_options_reach_the_task(cli: CommandLine) -> None:
    answer = cli.document(
        *("submit", "send", "--queue", "slow", "--priority", "high", "--timeout", "90s"),
        *("--retry-attempts", "7", "--key", "k-1", "--tag", "a", "--tag", "b"),
    )

    assert answer["queue"] == "slow"
    assert answer["priority"] == "high"
    assert answer["timeout"] == 90
    assert (answer["key"], answer["tags"]) == ("k-1", ["a", "b"])
    assert answer["retry"]["attempts"] == answer["attempts_allowed"] == 7
    assert answer["retry"]["first"] == "10s"  # the rest of the task's own policy holds


@pytest.mark.parametrize(
    ("option", "value"),
    [("--delay", "5m"), ("--run-at", (NOW + timedelta(minutes=5)).isoformat())],
)
def test_a_task_may_be_scheduled(cli: CommandLine, option: str, value: str) -> None:
    answer = cli.document("submit", "send", option, value)

    assert (answer["state"], answer["run_at"]) == ("scheduled", "2026-03-01T12:05:00Z")


def test_all_that_is_wrong_with_the_options_is_told_at_once(cli: CommandLine) -> None:
    code, error = cli.error(
        *("submit", "send", "--input", "[]", "--priority", "urgent", "--delay", "soon"),
        *("--run-at", "later", "--timeout", "1x", "--retry-attempts", "0"),
    )

    assert (code, error["type"]) == (4, "invalid-input")
    assert [problem["path"] for problem in error["problems"]] == [
        "input",
        "priority",
        "delay",
        "run_at",
        "retry.attempts",
        "timeout",
    ]


def test_a_time_without_a_zone_is_refused(cli: CommandLine) -> None:
    code, error = cli.error("submit", "send", "--run-at", "2026-03-01T13:00:00")

    assert (code, error["problems"][0]["path"]) == (4, "run_at")


def test_an_unknown_task_is_refused_with_those_that_are_known(cli: CommandLine) -> None:
    result = cli("submit", "sned", "a=1")

    assert result.exit_code == 4
    assert result.stdout == ""
    assert "no task is called 'sned'; known: charge, pack, print" in result.stderr


def test_an_input_that_does_not_fit_is_refused_by_its_path(cli: CommandLine) -> None:
    result = cli("submit", "strict")

    assert result.exit_code == 4
    assert result.stderr == (
        "Error: the input does not fit task 'strict'\n  input.order: is missing\n"
    )


def test_a_key_brings_the_first_answer(cli: CommandLine) -> None:
    first = cli.document("submit", "send", "a=1", "--key", "k")
    again = cli.document("submit", "send", "a=1", "--key", "k")

    assert again == {**first, "created": False}
    assert "was submitted before with this key" in cli.text("submit", "send", "a=1", "--key", "k")


def test_a_key_that_stands_for_something_else_is_a_conflict(cli: CommandLine) -> None:
    cli.document("submit", "send", "a=1", "--key", "k")

    code, error = cli.error("submit", "send", "a=2", "--key", "k")

    assert (code, error["type"]) == (5, "key-reused")


def test_waiting_for_a_task_that_succeeds_ends_well(cli: CommandLine) -> None:
    cli.meanwhile(cli.harness.work)

    answer = cli.document("submit", "send", "a=1", "--wait")

    assert (answer["state"], answer["output"], answer["created"]) == ("succeeded", {"a": 1}, True)


def test_waiting_for_a_task_that_fails_ends_badly(cli: CommandLine) -> None:
    cli.harness.on("charge", refuse)
    cli.meanwhile(cli.harness.work)

    answer = cli.document("submit", "charge", "--wait", code=1)

    assert (answer["state"], answer["error"]["type"]) == ("failed", "ValueError")


def test_waiting_shows_what_happens_line_by_line(cli: CommandLine) -> None:
    h = cli.harness
    claimed: list[Task] = []

    async def claim() -> None:
        claimed.append(await h.claim_one())

    async def report() -> None:
        [task] = claimed
        fields: dict[str, Json] = {"percent": 40.0}
        await h.app.record([LogEntry(task.id, 1, NOW, "progress", "page\n2", fields)])

    async def finish() -> None:
        await h.settle(await h.perform(claimed[0]))

    cli.meanwhile(nothing, claim, report, finish)
    result = cli("submit", "charge", "a=1", "--wait")

    [item] = cli.document("tasks", "list")["items"]
    assert result.exit_code == 0
    assert result.stderr == f"Task {item['id']} submitted.\n"
    assert result.stdout.splitlines() == [
        "2026-03-01 12:00:00Z  queued  No live worker serves queue 'default'.",
        "2026-03-01 12:00:00Z  running  attempt 1",
        r"2026-03-01 12:00:00Z  running  attempt 1  40% page\n2",
        r"2026-03-01 12:00:00Z  succeeded  attempt 1  40% page\n2",
        f"Task {item['id']} (charge) succeeded",
        "output:",
        "  {",
        '    "a": 1',
        "  }",
    ]


def test_waiting_for_a_task_that_is_cancelled_ends_badly(cli: CommandLine) -> None:
    h = cli.harness

    async def cancel() -> None:
        [found] = await h.app.queries.tasks(TaskFilter(), Page())
        await h.app.tasks.cancel([found.task.id])

    cli.meanwhile(cancel)

    assert "was cancelled" in cli.text("submit", "send", "--wait", code=1)


@pytest.fixture
def listening_to_ctrl_c() -> Iterator[None]:
    """SIGINT as at a terminal: a shell ignores it in what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening_to_ctrl_c")
def test_an_interrupted_wait_says_that_the_task_goes_on(cli: CommandLine) -> None:
    async def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    cli.meanwhile(interrupt)
    result = cli("submit", "send", "--wait")

    [item] = cli.document("tasks", "list")["items"]
    assert result.exit_code == 130
    assert item["state"] == TaskState.QUEUED
    assert f"the task goes on: cueline tasks watch {item['id']}" in result.stderr


def test_failure_summaries_are_told_without_their_control_characters(cli: CommandLine) -> None:
    cli.harness.on("charge", refuse)
    cli.meanwhile(cli.harness.work)

    text = cli.text("submit", "charge", "--wait", code=1)

    assert Failure("ValueError", r"no such\x1b[2J order").summary in text
    assert "\x1b" not in text
