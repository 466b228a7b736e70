"""Listing tasks from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.task import TaskState
from tests.factories import a_task, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import refuse


def ids_of(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in answer["items"]]


def test_tasks_are_listed_newest_first(cli: CommandLine) -> None:
    first, second = (cli.do(cli.harness.submit()) for _ in range(2))

    assert ids_of(cli.document("tasks", "list")) == [second.id, first.id]


def test_a_listing_is_a_table_for_people(cli: CommandLine) -> None:
    cli.harness.on("charge", refuse)
    task = cli.do(cli.harness.submit("charge", priority=None))
    cli.do(cli.harness.work())

    error = "ValueError: card refused"
    assert cli.text("tasks", "list").splitlines() == [
        f"{'ID':36}  NAME    STATE   QUEUE    {'CREATED':20}  ATTEMPTS  PRIORITY  ERROR",
        f"{task.id}  charge  failed  default  2026-03-01 12:00:00Z         1  normal    {error}",
    ]


def test_a_listing_goes_on_where_the_page_before_ended(cli: CommandLine) -> None:
    tasks = [cli.do(cli.harness.submit()) for _ in range(5)]
    newest_first = [task.id for task in reversed(tasks)]

    first = cli.document("tasks", "list", "--limit", "2")
    second = cli.document("tasks", "list", "--limit", "2", "--cursor", first["next"])
    third = cli.document("tasks", "list", "--limit", "2", "--cursor", second["next"])

    assert ids_of(first) + ids_of(second) + ids_of(third) == newest_first
    assert third["next"] is None


def test_people_are_told_where_a_listing_goes_on(cli: CommandLine) -> None:
    cli.do(cli.harness.submit())
    task = cli.do(cli.harness.submit())

    assert cli("tasks", "list", "--limit", "1").stderr == f"There is more: --cursor {task.id}\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--state", "scheduled"),
        ("--queue", "slow"),
        ("--name", "strict"),
        ("--tag", "wanted"),
    ],
)
def test_a_listing_can_be_restricted(cli: CommandLine, option: str, value: str) -> None:
    cli.do(cli.harness.submit("send"))
    delay = timedelta(minutes=1)
    task = cli.do(
        cli.harness.submit("strict", {"order": 1}, queue="slow", delay=delay, tags=("wanted",))
    )

    assert ids_of(cli.document("tasks", "list", option, value)) == [task.id]


def test_queued_tasks_are_those_that_could_run_now(cli: CommandLine) -> None:
    ready = cli.do(cli.harness.submit())
    later = cli.do(cli.harness.submit(delay=timedelta(minutes=1)))
    cancelled = a_task(id=cli.new_id(), state=TaskState.CANCELLED)
    cli.put(cancelled)

    assert ids_of(cli.document("tasks", "list", "--state", "queued")) == [ready.id]
    both = ids_of(cli.document("tasks", "list", "--state", "queued,scheduled"))
    assert set(both) == {ready.id, later.id}
    others = ids_of(cli.document("tasks", "list", "--state", "queued,cancelled"))
    assert set(others) == {ready.id, cancelled.id}


def test_the_steps_of_a_run_can_be_listed(cli: CommandLine) -> None:
    cli.do(cli.harness.submit())
    run = cli.do(cli.harness.start(a_workflow()))

    assert ids_of(cli.document("tasks", "list", "--run", run.id)) == [
        step_task_id(run.id, "first", Purpose.WORK)
    ]


@pytest.mark.parametrize(
    "words", [("--state", "done"), ("--cursor", "xyz"), ("--limit", "0"), ("--limit", "many")]
)
def test_a_listing_that_is_not_understood_is_a_usage_error(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    code, error = cli.error("tasks", "list", *words)

    assert (code, error["type"]) == (2, "usage")
    assert words[0] in error["message"]
