"""Waiting for runs and watching them from the command line."""

from __future__ import annotations

from cueline.application.ports.journal import LogEntry
from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.json import Json
from tests.doubles import NOW
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import nothing, refuse, registered, started


def test_waiting_for_a_run_that_succeeds_ends_well(cli: CommandLine) -> None:
    registered(cli)
    cli.meanwhile(cli.harness.work)

    answer = cli.document("runs", "start", "order", "order=7", "--wait")

    assert (answer["state"], answer["output"], answer["created"]) == ("succeeded", 7, True)


def test_waiting_for_a_run_that_is_compensated_ends_badly(cli: CommandLine) -> None:
    registered(cli)
    cli.harness.on("charge", refuse)
    cli.meanwhile(cli.harness.work)

    text = cli.text("runs", "start", "order", "order=7", "--wait", code=1)

    assert text.splitlines()[-1].endswith("of order v1 is compensated: ValueError: card refused")


def test_a_run_is_watched_line_by_line(cli: CommandLine) -> None:
    h = cli.harness
    run = started(cli)

    async def work_at_one() -> None:
        await h.work(at_most=1)

    async def report() -> None:
        id = step_task_id(run.id, "charge", Purpose.WORK)
        await h.claim_one()
        fields: dict[str, Json] = {"percent": 25.0}
        await h.app.record([LogEntry(id, 1, NOW, "progress", "[b]asking[/b]", fields)])

    async def cancel() -> None:
        await h.app.runs.cancel(run.id)

    cli.meanwhile(nothing, work_at_one, report, cancel, h.work)
    text = cli.text("runs", "watch", run.id, code=1)

    assert [line.removeprefix("2026-03-01 12:00:00Z  ") for line in text.splitlines()] == [
        "step  reserve  running  waits in queue default",
        "run  running",
        "step  reserve  succeeded",
        "step  charge  running  waits in queue default",
        "step  charge  running  25% [b]asking[/b]",
        "step  reserve  compensating",
        "step  charge  cancelled",
        "run  compensating",
        "step  reserve  compensated",
        "run  cancelled",
        f"Run {run.id} of order v1 is cancelled",
    ]


def test_a_run_is_watched_document_by_document(cli: CommandLine) -> None:
    run = started(cli)

    cli.meanwhile(nothing, nothing, cli.harness.work)
    lines = cli.lines("runs", "watch", run.id)

    assert [(line["state"], line["steps"]["charge"]["state"]) for line in lines] == [
        ("running", "waiting"),
        ("succeeded", "succeeded"),
    ]
