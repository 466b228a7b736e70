"""Queues and workers from the command line."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.interfaces.cli.command_line import CommandLine


def test_queues_are_listed_with_what_they_hold_and_who_serves_them(cli: CommandLine) -> None:
    cli.do(cli.harness.hire("default", slots=4))
    cli.do(cli.harness.submit("send"))
    cli.do(cli.harness.submit("send", delay=timedelta(minutes=1)))

    [queue] = cli.document("queues", "list")["items"]

    assert queue == {
        "name": "default",
        "paused": False,
        "counts": {
            "scheduled": 1,
            "queued": 1,
            "running": 0,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
        },
        "workers": 1,
        "slots": 4,
        "in_broker": 1,
    }
    [head, row] = cli.text("queues", "list").splitlines()
    assert head.split()[:4] == ["QUEUE", "STATE", "SCHEDULED", "QUEUED"]
    assert row.split() == ["default", "open", "1", "1", "0", "0", "0", "0", "1", "4", "1"]


def test_a_broker_that_does_not_answer_leaves_a_question_mark(cli: CommandLine) -> None:
    cli.do(cli.harness.submit("send"))
    cli.harness.broker.refusing = frozenset({"depth"})

    assert cli.document("queues", "list")["items"][0]["in_broker"] is None
    assert cli.text("queues", "list").splitlines()[1].endswith("?")


def test_a_queue_is_paused_and_resumed(cli: CommandLine) -> None:
    cli.do(cli.harness.submit("send"))

    assert cli.text("queues", "pause", "default") == "Queue default is paused.\n"
    assert cli.document("queues", "list")["items"][0]["paused"] is True
    assert cli.document("queues", "resume", "default")["paused"] is False


def test_pausing_a_queue_that_nobody_knows_warns_of_a_slip(cli: CommandLine) -> None:
    cli.do(cli.harness.submit("send"))

    result = cli("queues", "pause", "defualt")

    assert result.exit_code == 0
    assert result.stderr == ("Nothing else is known of a queue 'defualt'; the others: default\n")


def test_a_name_that_no_queue_can_have_is_refused(cli: CommandLine) -> None:
    code, error = cli.error("queues", "pause", "no such name")

    assert (code, error["type"]) == (4, "invalid-input")


def test_workers_are_listed_with_how_they_fare(cli: CommandLine) -> None:
    worker = cli.do(cli.harness.hire("a", "b", slots=3, name="host\n1"))

    [item] = cli.document("workers", "list")["items"]
    [_, row] = cli.text("workers", "list").splitlines()

    assert item == {
        "id": worker.id,
        "name": "host\n1",
        "state": "live",
        "queues": ["a", "b"],
        "slots": 3,
        "started_at": "2026-03-01T12:00:00Z",
        "lease_until": item["lease_until"],
    }
    assert row.startswith(rf"{worker.id}  host\n1  live       3  a, b")


def test_a_worker_whose_lease_lapsed_is_told_apart(cli: CommandLine) -> None:
    cli.do(cli.harness.hire())
    cli.harness.clock.advance(3600)

    assert "lapsed" in cli.text("workers", "list")
