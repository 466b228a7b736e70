"""Looking at tasks and steering them from the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.ports.persistence import LogEntry
from cueline.domain.identifiers import Purpose, TaskId, step_task_id
from cueline.domain.json import Json
from cueline.domain.task import Task, TaskState
from tests.doubles import NOW
from tests.factories import a_step, a_task, a_workflow
from tests.unit.interfaces.cli.command_line import CommandLine

NOBODY = "0198c0de-0000-7000-8000-000000000000"


def refuse(_task: Task) -> Json:
    raise ValueError("no such order\nat all")


def ids_of(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [item["id"] for item in answer["items"]]


def a_log(task: Task, message: str, *, level: str = "info", **fields: Json) -> LogEntry:
    return LogEntry(task.id, 1, NOW, level, message, fields)


# --- list -----------------------------------------------------------------------------------------


def test_tasks_are_listed_newest_first(cli: CommandLine) -> None:
    first, second = (cli.do(cli.harness.submit()) for _ in range(2))

    assert ids_of(cli.document("tasks", "list")) == [second.id, first.id]


def test_a_listing_is_a_table_for_people(cli: CommandLine) -> None:
    cli.harness.on("charge", refuse)
    task = cli.do(cli.harness.submit("charge", priority=None))
    cli.do(cli.harness.work())

    error = "ValueError: no such order"
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
    cancelled = a_task(state=TaskState.CANCELLED)
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


# --- show -----------------------------------------------------------------------------------------


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


# --- logs, attempts, explain ----------------------------------------------------------------------


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
    assert "ValueError: no such order" in text


def test_a_task_is_explained(cli: CommandLine) -> None:
    task = cli.do(cli.harness.submit())

    assert cli.document("tasks", "explain", task.id) == {
        "id": task.id,
        "reasons": ["No live worker serves queue 'default'."],
    }
    assert cli.text("tasks", "explain", task.id) == "No live worker serves queue 'default'.\n"


# --- steering -------------------------------------------------------------------------------------


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
    ended = a_task(state=TaskState.SUCCEEDED)
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


# --- watch ----------------------------------------------------------------------------------------


def test_a_task_is_watched_document_by_document(cli: CommandLine) -> None:
    h = cli.harness
    task = cli.do(h.submit("charge"))

    async def claim() -> None:
        await h.claim_one()

    async def finish() -> None:
        await h.app.tasks.cancel([task.id])

    cli.meanwhile(claim, claim_nothing, finish)
    lines = cli.lines("tasks", "watch", task.id, code=1)

    assert [line["state"] for line in lines] == ["running", "cancelled"]


async def claim_nothing() -> None:
    """Let one look pass in which nothing happens."""


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

    cli.meanwhile(claim_nothing, pass_time)
    text = cli.text("tasks", "watch", task.id)

    assert "Attempt 1 failed with ValueError: no such order; it is retried in 10s." in text
    assert text.endswith("succeeded\n")
