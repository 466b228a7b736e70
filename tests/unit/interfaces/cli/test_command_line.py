"""The command line as a whole: options, exit codes, errors, and what it costs to start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cueline.domain.errors import (
    Conflict,
    CuelineError,
    DefinitionChanged,
    ExpressionError,
    IllegalTransition,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    Problem,
    Unavailable,
    UnknownTask,
    WorkerEvicted,
)
from cueline.interfaces.cli.exits import MEANINGS, Exit, report
from tests.unit.interfaces.cli.command_line import CommandLine


def test_a_global_option_may_stand_before_or_after_the_command(cli: CommandLine) -> None:
    cli("--store", "sqlite:///a.db", "--broker", "redis://a", "--app", "a:a", "tasks", "list")
    cli("tasks", "list", "--store", "sqlite:///a.db", "--broker", "redis://a", "--app", "a:a")

    before, after = cli.entry.opened
    assert before == after
    assert (before.store, before.broker, before.app) == ("sqlite:///a.db", "redis://a", "a:a")


def test_the_option_after_the_command_holds(cli: CommandLine) -> None:
    cli("--store", "a", "--broker", "b", "tasks", "list", "--store", "c")

    [options] = cli.entry.opened
    assert (options.store, options.broker) == ("c", "b")


def test_json_may_stand_before_the_command_too(cli: CommandLine) -> None:
    assert json.loads(cli("--json", "tasks", "list").stdout) == {"items": [], "next": None}


def test_the_version_is_told(cli: CommandLine) -> None:
    assert cli("--version").stdout.startswith("cueline ")


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(cli: CommandLine) -> None:
    result = cli()

    assert result.exit_code == 2
    assert "Exit codes" in result.output


def test_the_help_tells_every_exit_code(cli: CommandLine) -> None:
    text = cli("--help").stdout

    assert set(MEANINGS) == set(Exit)
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in text


@pytest.mark.parametrize(
    "group", ["tasks", "runs", "workflows", "queues", "workers", "submit", "serve", "worker"]
)
def test_every_command_has_help(cli: CommandLine, group: str) -> None:
    result = cli(group, "--help")

    assert result.exit_code == 0
    assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("error", "code", "type"),
    [
        (NotFound("task", "1"), 3, "not-found"),
        (UnknownTask("a", []), 4, "unknown-task"),
        (InvalidInput("x", [Problem("a.b", "wrong")]), 4, "invalid-input"),
        (InvalidDefinition("x"), 4, "invalid-definition"),
        (ExpressionError("x"), 4, "invalid-expression"),
        (KeyReused("k", "task 1"), 5, "key-reused"),
        (IllegalTransition("task", "1", "failed", "cancel"), 5, "illegal-transition"),
        (DefinitionChanged("order", 1), 5, "definition-changed"),
        (WorkerEvicted("1"), 5, "worker-evicted"),
        (Conflict("x"), 5, "conflict"),
        (Unavailable("the store"), 6, "unavailable"),
        (CuelineError("x"), 4, "error"),
    ],
)
def test_each_error_has_its_exit_code_and_type(
    cli: CommandLine, error: CuelineError, code: int, type: str
) -> None:
    cli.entry.failure = error

    told_code, told = cli.error("tasks", "list")

    assert (told_code, told["type"]) == (code, type)
    assert told["message"] == report(error).message
    assert told["problems"] == [
        {"path": problem.path, "message": problem.message} for problem in report(error).problems
    ]


def test_problems_are_listed_below_the_message(cli: CommandLine) -> None:
    problems = [Problem(f"a[{n}]", "wrong\n\x1b[2J") for n in range(30)]
    cli.entry.failure = InvalidInput("the input is not usable", problems)

    lines = cli("tasks", "list").stderr.splitlines()

    assert lines[:2] == ["Error: the input is not usable", r"  a[0]: wrong\n\x1b[2J"]
    assert lines[-1] == "  ... and 10 more; --json lists them all"
    assert len(cli.error("tasks", "list")[1]["problems"]) == 30


def test_a_usage_error_is_an_error_object_for_scripts(cli: CommandLine) -> None:
    code, error = cli.error("tasks", "lisst")

    assert (code, error["type"]) == (2, "usage")
    assert "Did you mean 'list'?" in error["message"]


def test_a_usage_error_is_told_to_people(cli: CommandLine) -> None:
    result = cli("tasks", "list", "--colour")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "No such option: --colour" in result.stderr


def test_ctrl_c_ends_with_130(cli: CommandLine) -> None:
    cli.entry.failure = KeyboardInterrupt()

    assert cli("serve").exit_code == 130
    assert cli("serve", "--json").exit_code == 130


def test_a_bug_is_not_taken_for_a_task_that_ended_badly(cli: CommandLine) -> None:
    cli.entry.failure = RuntimeError("unheard\x1b[2J of")

    result = cli("tasks", "list")
    code, error = cli.error("tasks", "list")

    assert (result.exit_code, code) == (70, 70)
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("RuntimeError: unheard\\x1b[2J of\n")
    assert (error["type"], error["message"].startswith("Traceback")) == ("bug", True)


def test_a_reader_that_went_away_is_no_error(cli: CommandLine) -> None:
    cli.entry.failure = BrokenPipeError()

    result = cli("tasks", "list")

    assert (result.exit_code, result.output) == (141, "")


def test_help_loads_no_adapter_and_no_web_framework() -> None:
    script = """
import sys
from typer.testing import CliRunner
from cueline.interfaces.cli import build_cli
result = CliRunner().invoke(build_cli(None), ["--help"])
assert result.exit_code == 0, result.output
heavy = ("aiosqlite", "alembic", "dependency_injector", "fastapi", "httpx2", "jsonschema_rs",
         "sqlalchemy", "starlette", "uvicorn", "xhtml2pdf", "yaml", "cueline.infrastructure")
print([name for name in sys.modules if name.startswith(heavy)])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"
