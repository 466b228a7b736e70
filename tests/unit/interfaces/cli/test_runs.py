"""Starting runs from the command line, looking at them and steering them."""

from __future__ import annotations

import pytest

from cueline.domain.identifiers import Purpose, step_task_id
from tests.factories import a_step, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import NOBODY, refuse, registered, started


def test_a_run_is_started_with_its_input_as_words(cli: CommandLine) -> None:
    registered(cli)

    answer = cli.document("runs", "start", "order", "order=7", "note=urgent")

    assert (answer["state"], answer["created"]) == ("running", True)
    assert answer["workflow"] == {"name": "order", "version": 1}
    assert cli.document("runs", "show", answer["id"])["input"] == {"order": 7, "note": "urgent"}


def test_a_started_run_is_told_in_a_sentence(cli: CommandLine) -> None:
    registered(cli)

    text = cli.text("runs", "start", "order", "order=7")

    [item] = cli.document("runs", "list")["items"]
    assert text == f"Run {item['id']} of order v1 started.\n"


def test_a_run_may_be_given_any_json(cli: CommandLine) -> None:
    registered(cli, a_workflow())

    id = cli.document("runs", "start", "order", "-", stdin="[1, 2]")["id"]

    assert cli.document("runs", "show", id)["input"] == [1, 2]


def test_an_older_version_can_be_started(cli: CommandLine) -> None:
    registered(cli, a_workflow(version=1))
    registered(cli, a_workflow(version=2))

    assert cli.document("runs", "start", "order")["workflow"]["version"] == 2
    assert cli.document("runs", "start", "order", "--version", "1")["workflow"]["version"] == 1


@pytest.mark.parametrize("words", [("ordre",), ("order", "--version", "9")])
def test_a_workflow_that_is_not_registered_is_not_found(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    registered(cli)

    result = cli("runs", "start", *words)

    assert result.exit_code == 3
    assert "known: order" in result.stderr
    assert "cueline workflows list" in result.stderr


def test_a_key_brings_the_first_run_and_not_another_input(cli: CommandLine) -> None:
    registered(cli)
    first = cli.document("runs", "start", "order", "order=7", "--key", "k")

    assert cli.document("runs", "start", "order", "order=7", "--key", "k") == {
        **first,
        "created": False,
    }
    assert cli.error("runs", "start", "order", "order=8", "--key", "k")[0] == 5
    assert "started before" in cli.text("runs", "start", "order", "order=7", "--key", "k")


def test_runs_are_listed_newest_first_page_by_page(cli: CommandLine) -> None:
    runs = [started(cli) for _ in range(3)]

    first = cli.document("runs", "list", "--limit", "2")
    second = cli.document("runs", "list", "--limit", "2", "--cursor", first["next"])

    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == [run.id for run in reversed(runs)]
    assert second["next"] is None


def test_runs_can_be_listed_by_state_and_workflow(cli: CommandLine) -> None:
    started(cli)
    cli.do(cli.harness.work())
    other = started(cli, a_workflow(name="other"))

    for words in (("--state", "running,paused"), ("--workflow", "other")):
        [item] = cli.document("runs", "list", *words)["items"]
        assert item["id"] == other.id
    assert cli.error("runs", "list", "--state", "queued")[0] == 2


def test_a_listing_is_a_table_for_people(cli: CommandLine) -> None:
    run = started(cli)

    assert cli.text("runs", "list").splitlines() == [
        f"{'ID':36}  WORKFLOW  STATE    STEPS  {'CREATED':20}  ENDED  ERROR",
        f"{run.id}  order v1  running    0/2  2026-03-01 12:00:00Z",
    ]


def test_a_run_is_shown_with_its_steps(cli: CommandLine) -> None:
    run = started(cli)
    cli.harness.on("charge", refuse)
    cli.do(cli.harness.work())

    lines = cli.text("runs", "show", run.id).splitlines()

    assert lines[:3] == [f"id:       {run.id}", "workflow: order v1", "state:    compensated"]
    assert [line.split() for line in lines[-3:]] == [
        ["STEP", "STATE", "ATTEMPTS", "DURATION", "PROGRESS", "DETAIL"],
        ["reserve", "compensated", "1", "0ms"],
        ["charge", "failed", "1", "0ms", "ValueError:", "card", "refused"],
    ]


def test_the_document_of_a_run_is_complete(cli: CommandLine) -> None:
    run = started(cli)
    cli.do(cli.harness.work())

    answer = cli.document("runs", "show", run.id)

    assert answer["steps"].pop("reserve")["output"] == {"order": 7}
    assert answer == {
        "id": run.id,
        "workflow": {"name": "order", "version": 1},
        "state": "succeeded",
        "step_count": {"succeeded": 2, "total": 2},
        "error": None,
        "key": None,
        "created_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:00Z",
        "version": answer["version"],
        "input": {"order": 7},
        "output": 7,
        "steps": {
            "charge": {
                "state": "succeeded",
                "task_id": step_task_id(run.id, "charge", Purpose.WORK),
                "attempts": 1,
                "output": {},
                "error": None,
                "started_at": "2026-03-01T12:00:00Z",
                "ended_at": "2026-03-01T12:00:00Z",
                "progress": None,
            }
        },
    }


def test_the_history_of_a_run_is_shown_part_by_part(cli: CommandLine) -> None:
    run = started(cli)
    cli.do(cli.harness.work())

    first = cli.document("runs", "history", run.id, "--limit", "2")
    rest = cli.document("runs", "history", run.id, "--after", str(first["next"]))

    events = [(each["sequence"], each["type"]) for each in first["items"] + rest["items"]]
    assert events == [
        (1, "run.started"),
        (2, "step.started"),
        (3, "step.succeeded"),
        (4, "step.started"),
        (5, "step.succeeded"),
        (6, "run.succeeded"),
    ]
    assert "step.started    step=reserve" in cli.text("runs", "history", run.id)


def test_a_run_is_paused_resumed_and_cancelled(cli: CommandLine) -> None:
    run = started(cli)

    assert cli.text("runs", "pause", run.id) == f"Run {run.id} is paused.\n"
    assert cli.document("runs", "resume", run.id)["state"] == "running"
    assert cli.text("runs", "cancel", run.id) == f"Run {run.id} is cancelled.\n"


def test_a_failed_run_is_retried(cli: CommandLine) -> None:
    run = started(cli, a_workflow(steps=[a_step(task="charge")]))
    cli.harness.on("charge", refuse)
    cli.do(cli.harness.work())

    assert cli.document("runs", "retry", run.id)["state"] == "running"


def test_what_the_state_does_not_allow_is_a_conflict(cli: CommandLine) -> None:
    run = started(cli)

    result = cli("runs", "resume", run.id)

    assert result.exit_code == 5
    assert result.stderr == (
        f"Error: run {run.id} is running: it cannot resume\n"
        f"See where it stands: cueline runs show {run.id}\n"
    )


@pytest.mark.parametrize("id", [NOBODY, "xyz"])
@pytest.mark.parametrize(
    "command", ["show", "watch", "history", "cancel", "pause", "resume", "retry"]
)
def test_a_run_that_does_not_exist_is_not_found(cli: CommandLine, command: str, id: str) -> None:
    code, error = cli.error("runs", command, id)

    assert (code, error["type"]) == (3, "not-found")
