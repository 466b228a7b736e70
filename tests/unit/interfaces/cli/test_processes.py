"""What runs for long, and whether it could."""

from __future__ import annotations

import pytest

from cueline.domain.errors import Unavailable
from cueline.interfaces.cli import Check, Options
from tests.unit.interfaces.cli.command_line import CommandLine


def test_serving_without_options_leaves_everything_to_the_settings(cli: CommandLine) -> None:
    assert cli("serve").exit_code == 0
    assert cli.entry.served == [Options()]


def test_the_options_of_serve_reach_the_server(cli: CommandLine) -> None:
    result = cli(
        *("serve", "--app", "shop:app", "--host", "0.0.0.0", "--port", "80", "--concurrency", "3"),
        *("--queues", "a, b,a", "--roles", "api,worker", "--store", "sqlite:///x.db"),
        *("--broker", "redis://x"),
    )

    assert (result.exit_code, result.output) == (0, "")
    assert cli.entry.served == [
        Options(
            app="shop:app",
            store="sqlite:///x.db",
            broker="redis://x",
            host="0.0.0.0",
            port=80,
            concurrency=3,
            queues=("a", "b"),
            roles=("api", "worker"),
        )
    ]


def test_the_options_of_a_worker_reach_it(cli: CommandLine) -> None:
    cli("worker", "--app", "shop:app", "--queues", "a", "--concurrency", "2")

    assert cli.entry.worked == [Options(app="shop:app", queues=("a",), concurrency=2)]


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--roles", "api,cook"),
        ("worker", "--roles", "api"),
        ("worker", "--port", "80"),
        ("serve", "--port", "70000"),
        ("serve", "--concurrency", "0"),
        ("serve", "--queues", " , "),
    ],
)
def test_options_that_cannot_be_are_usage_errors(cli: CommandLine, words: tuple[str, ...]) -> None:
    code, error = cli.error(*words)

    assert (code, error["type"]) == (2, "usage")
    assert (cli.entry.served, cli.entry.worked) == ([], [])


@pytest.mark.parametrize("command", ["serve", "worker", "doctor"])
def test_a_store_that_does_not_answer_is_told_without_a_traceback(
    cli: CommandLine, command: str
) -> None:
    cli.entry.failure = Unavailable("the store", "no route\x1b[2J to host")

    result = cli(command)

    assert result.exit_code == 6
    assert result.stderr == (
        "Error: the store does not answer: no route\\x1b[2J to host\n"
        "See what is wrong: cueline doctor\n"
    )


CHECKS = [
    Check("store", True, "sqlite:///cueline.db"),
    Check("roles", None, "api, worker"),
]


def test_a_healthy_doctor_says_what_is_selected(cli: CommandLine) -> None:
    cli.entry.checks = CHECKS

    assert cli.document("doctor") == {
        "ok": True,
        "checks": [
            {"name": "store", "ok": True, "detail": "sqlite:///cueline.db"},
            {"name": "roles", "ok": None, "detail": "api, worker"},
        ],
    }
    assert cli.text("doctor").splitlines() == [
        "CHECK  RESULT  DETAIL",
        "store  ok      sqlite:///cueline.db",
        "roles  -       api, worker",
    ]


def test_a_check_that_failed_is_told_by_the_exit_code(cli: CommandLine) -> None:
    cli.entry.checks = [*CHECKS, Check("broker", False, "connection refused")]

    assert cli.document("doctor", code=6)["ok"] is False
    assert "FAILED  connection refused" in cli.text("doctor", code=6)
