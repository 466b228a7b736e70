"""What a task logged, its attempts, and why it is where it is."""

from __future__ import annotations

from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import a_log, refuse


def test_logs_are_shown_in_order_with_their_fields(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())
    entries = [
        a_log(task, "fetched", page=2, of="many"),
        a_log(task, "half", level="progress", percent=50.0, phase="save"),
        a_log(task, "odd\x1b[2J\nrow", level="warning"),
    ]
    cli.do(cli.harness.app.record(entries))

    assert cli.text("tasks", "logs", task.id).splitlines() == [
        "2026-03-01 12:00:00Z #1 info     fetched page=2 of=many",
        "2026-03-01 12:00:00Z #1 progress 50% half phase=save",
        r"2026-03-01 12:00:00Z #1 warning  odd\x1b[2J\nrow",
    ]


def test_logs_can_be_read_part_by_part(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())
    cli.do(cli.harness.app.record([a_log(task, str(n)) for n in range(1200)]))

    everything = cli.document("tasks", "logs", task.id)
    first = cli.document("tasks", "logs", task.id, "--limit", "700")
    rest = cli.document("tasks", "logs", task.id, "--after", str(first["next"]))

    assert [item["message"] for item in everything["items"]] == [str(n) for n in range(1200)]
    assert first["items"] + rest["items"] == everything["items"]
    assert everything["next"] is None


def test_logs_are_followed_until_the_task_ends(cli: CommandLine) -> None:
    h = cli.harness
    task = cli.do(h.submit("charge"))

    async def log_one() -> None:
        await h.app.record([a_log(task, "one")])

    async def log_two_and_end() -> None:
        await h.app.record([a_log(task, "two")])
        await h.work()

    cli.meanwhile(log_one, log_two_and_end)
    lines = cli.lines("tasks", "logs", task.id, "--follow")

    assert [line["message"] for line in lines] == ["one", "two"]


def test_logs_are_followed_no_further_than_the_limit(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())
    cli.do(cli.harness.app.record([a_log(task, str(n)) for n in range(3)]))

    lines = cli.lines("tasks", "logs", task.id, "-f", "--limit", "2")

    assert [line["message"] for line in lines] == ["0", "1"]


def test_attempts_are_shown_with_how_they_ended(cli: CommandLine) -> None:
    h = cli.harness
    h.on("send", refuse)
    task = cli.do(h.submit("send"))
    cli.do(h.work())
    cli.do(h.work_for(10, step=10))

    answer = cli.document("tasks", "attempts", task.id)
    text = cli.text("tasks", "attempts", task.id)

    assert [(each["number"], each["outcome"]) for each in answer["items"]] == [
        (1, "failed"),
        (2, "failed"),
    ]
    assert text.splitlines()[0].split() == [
        "ATTEMPT",
        "OUTCOME",
        "DURATION",
        "STARTED",
        "WORKER",
        "ERROR",
    ]
    assert "ValueError: card refused" in text


def test_a_task_is_explained(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())

    assert cli.document("tasks", "explain", task.id) == {
        "id": task.id,
        "reasons": ["No live worker serves queue 'default'."],
    }
    assert cli.text("tasks", "explain", task.id) == "No live worker serves queue 'default'.\n"
