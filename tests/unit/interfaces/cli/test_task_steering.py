"""Steering and watching tasks from the command line."""

from __future__ import annotations

from datetime import timedelta

from cueline.domain.identifiers import Purpose, TaskId, step_task_id
from cueline.domain.task import TaskState
from tests.factories import a_step, a_task, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine
from tests.unit.interfaces.cli.scenes import nothing, refuse


def test_tasks_are_cancelled_together(cli: CommandLine) -> None:
    tasks = [cli.do(cli.harness.submit()) for _ in range(2)]

    text = cli.text("tasks", "cancel", *(task.id for task in tasks))

    assert text == "".join(f"Task {task.id} is cancelled.\n" for task in tasks)
    assert all(cli.do(cli.harness.task(task.id)).state == "cancelled" for task in tasks)


def test_a_failed_task_is_retried(cli: CommandLine) -> None:
    task = a_task(state=TaskState.FAILED)
    cli.put(task)

    [item] = cli.document("tasks", "retry", task.id)["items"]

    assert (item["id"], item["state"], item["failures"]) == (task.id, "queued", 0)


def test_a_scheduled_task_is_promoted(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit(delay=timedelta(hours=1)))

    assert cli.text("tasks", "promote", task.id) == f"Task {task.id} is queued.\n"


def test_what_the_state_does_not_allow_is_a_conflict_and_changes_nothing(cli: CommandLine) -> None:
    open_task = cli.do(cli.harness.submit())
    ended = a_task(id=cli.new_id(), state=TaskState.SUCCEEDED)
    cli.put(ended)

    result = cli("tasks", "cancel", open_task.id, ended.id)

    assert result.exit_code == 5
    assert result.stderr == (
        f"Error: task {ended.id} is succeeded: it cannot cancel\n"
        f"See why it is where it is: cueline tasks explain {ended.id}\n"
    )
    assert cli.do(cli.harness.task(open_task.id)).state == "queued"


def test_a_step_is_not_retried_alone(cli: CommandLine) -> None:
    run = cli.do(cli.harness.start(a_workflow(steps=[a_step(task="charge")])))
    cli.harness.on("charge", refuse)
    cli.do(cli.harness.work())

    result = cli("tasks", "retry", TaskId(step_task_id(run.id, "first", Purpose.WORK)))

    assert result.exit_code == 5
    assert f"is a step of run {run.id}: retry the run" in result.stderr


def test_a_task_is_watched_document_by_document(cli: CommandLine) -> None:
    h = cli.harness
    task = cli.do(h.submit("charge"))

    async def claim() -> None:
        await h.claim_one()

    async def finish() -> None:
        await h.app.tasks.cancel([task.id])

    cli.meanwhile(claim, nothing, finish)
    lines = cli.lines("tasks", "watch", task.id, code=1)

    assert [line["state"] for line in lines] == ["running", "cancelled"]


def test_a_task_that_has_ended_is_watched_to_its_end_at_once(cli: CommandLine) -> None:
    task = a_task(state=TaskState.SUCCEEDED)
    cli.put(task)

    assert cli.text("tasks", "watch", task.id).splitlines() == [
        "2026-03-01 12:00:00Z  succeeded  attempt 1",
        f"Task {task.id} (send) succeeded",
    ]


def test_while_a_task_waits_for_a_retry_the_watcher_sees_why(cli: CommandLine) -> None:
    h = cli.harness
    h.on("send", refuse)
    task = cli.do(h.submit("send"))
    cli.do(h.work())

    async def pass_time() -> None:
        h.on("send", lambda _: {"ok": True})
        await h.work_for(10, step=10)

    cli.meanwhile(nothing, pass_time)
    text = cli.text("tasks", "watch", task.id)

    assert "Attempt 1 failed with ValueError: card refused; it is retried in 10s." in text
    assert text.endswith("succeeded\n")
