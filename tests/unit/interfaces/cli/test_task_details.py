"""Looking at one task from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.task import TaskState
from tests.factories import a_task, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import NOBODY, a_log, refuse


def test_a_task_is_shown_with_everything_about_it(cli: CommandLine) -> None:
    h = cli.harness
    task = cli.do(
        h.submit("charge", {"order": 7}, key="k", tags=("a", "b"), timeout=timedelta(seconds=90))
    )
    cli.do(h.work())

    assert cli.text("tasks", "show", task.id).splitlines() == [
        f"id:       {task.id}",
        "name:     charge",
        "state:    succeeded",
        "queue:    default",
        "priority: normal",
        "attempts: 1 (0 of 1 failures charged)",
        "created:  2026-03-01 12:00:00Z",
        "started:  2026-03-01 12:00:00Z",
        "ended:    2026-03-01 12:00:00Z",
        "duration: 0ms",
        f"worker:   {cli.do(h.task(task.id)).worker_id}",
        "timeout:  1m30s",
        "key:      k",
        "tags:     a, b",
        "input:",
        "  {",
        '    "order": 7',
        "  }",
        "output:",
        "  {",
        '    "order": 7',
        "  }",
    ]


def test_the_document_of_a_task_is_complete(cli: CommandLine) -> None:
    h = cli.harness
    h.on("charge", refuse)
    task = cli.do(h.submit("charge", {"order": 7}))
    cli.do(h.app.record([a_log(task, "half", level="progress", percent=50.0)]))
    cli.do(h.work())

    answer = cli.document("tasks", "show", task.id)

    assert answer.pop("error")["traceback"].startswith("Traceback")
    assert answer == {
        "id": task.id,
        "name": "charge",
        "state": "failed",
        "queue": "default",
        "priority": "normal",
        "input": {"order": 7},
        "output": None,
        "attempt": 1,
        "failures": 1,
        "attempts_allowed": 1,
        "retry": answer["retry"],
        "timeout": None,
        "key": None,
        "tags": [],
        "run": None,
        "worker_id": cli.do(h.task(task.id)).worker_id,
        "created_at": "2026-03-01T12:00:00Z",
        "run_at": "2026-03-01T12:00:00Z",
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:00Z",
        "progress": {"percent": 50.0, "message": "half", "at": "2026-03-01T12:00:00Z"},
        "version": 3,
    }


def test_a_step_of_a_run_says_so(cli: CommandLine) -> None:
    run = cli.do(cli.harness.start(a_workflow()))
    id = step_task_id(run.id, "first", Purpose.WORK)

    assert cli.document("tasks", "show", id)["run"] == {
        "id": run.id,
        "step": "first",
        "purpose": "work",
    }
    assert "step:     first (work)" in cli.text("tasks", "show", id)


def test_a_very_long_output_is_cut_for_people_only(cli: CommandLine) -> None:
    task = a_task(state=TaskState.SUCCEEDED, output="x" * 100_000)
    cli.put(task)

    text = cli.text("tasks", "show", task.id)

    assert "(100002 characters; --json shows all)" in text
    assert len(text) < 10_000
    assert len(cli.document("tasks", "show", task.id)["output"]) == 100_000


@pytest.mark.parametrize("id", [NOBODY, "xyz", ""])
@pytest.mark.parametrize(
    "command", ["show", "logs", "attempts", "explain", "watch", "cancel", "retry", "promote"]
)
def test_a_task_that_does_not_exist_is_not_found(cli: CommandLine, command: str, id: str) -> None:
    code, error = cli.error("tasks", command, id)

    assert (code, error["type"]) == (3, "not-found")


def test_an_id_may_be_typed_in_capitals(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())

    assert cli.document("tasks", "show", task.id.upper())["id"] == task.id
