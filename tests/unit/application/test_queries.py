"""Looking."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cueline.application.ports.journal import LogEntry
from cueline.application.ports.questions import Page, RunFilter, TaskFilter
from cueline.domain.attempt import AttemptOutcome
from cueline.domain.errors import NotFound, Unavailable
from cueline.domain.queue import Queue
from cueline.domain.task import TaskState
from cueline.domain.workflow.run import RunState
from tests.doubles import NOW
from tests.factories import a_run, a_step, a_task_id, a_workflow
from tests.harness import DEFINITIONS, Harness


async def test_a_task_is_shown_with_whether_it_is_scheduled(h: Harness) -> None:
    later, now = await h.submit(delay=timedelta(minutes=1)), await h.submit()
    assert (await h.app.queries.task(later.id)).scheduled
    assert not (await h.app.queries.task(now.id)).scheduled
    listed = await h.app.queries.tasks(TaskFilter(), Page())
    assert [(item.task.id, item.scheduled) for item in listed] == [
        (now.id, False),
        (later.id, True),
    ]


async def test_a_running_attempt_is_shown_behind_the_ended_ones(h: Harness) -> None:
    task = await h.submit("send")
    h.on("send", lambda task: 1 / 0)
    await h.work()
    h.clock.advance(10)
    await h.claim_one()
    attempts = await h.app.queries.attempts(task.id)
    assert [(item.number, item.outcome) for item in attempts] == [
        (1, AttemptOutcome.FAILED),
        (2, AttemptOutcome.RUNNING),
    ]
    assert attempts[1].ended_at is None


async def test_what_is_unknown_is_not_found(h: Harness) -> None:
    queries, task, run = h.app.queries, a_task_id(), a_run().id
    for look in (
        queries.task(task),
        queries.attempts(task),
        queries.logs(task, 0, 9),
        queries.run(run),
        queries.history(run, 0, 9),
        queries.queue("unknown"),
    ):
        with pytest.raises(NotFound):
            await look


async def test_logs_are_read_page_by_page(h: Harness) -> None:
    task = await h.submit()
    lines = [LogEntry(task.id, 1, NOW, "info", f"line {n}") for n in range(5)]
    await h.app.record(lines)
    first = await h.app.queries.logs(task.id, 0, 3)
    rest = await h.app.queries.logs(task.id, first[-1][0], 3)
    assert [entry for _, entry in first + rest] == lines


async def test_a_queue_is_shown_with_its_counts_and_who_serves_it(h: Harness) -> None:
    await h.hire("default", "mail", slots=2)
    await h.hire("default", slots=3)
    await h.app.queues.pause("held")
    for _ in range(3):
        await h.submit()
    await h.submit(delay=timedelta(days=1))
    await h.submit("print")
    await h.claim(limit=1)
    by_name = {detail.queue.name: detail for detail in await h.app.queries.queues()}
    assert list(by_name) == ["default", "held", "mail", "printer"]
    default = by_name["default"]
    assert default.counts == {"queued": 2, "scheduled": 1, "running": 1}
    assert (default.workers, default.slots, default.in_broker) == (2, 5, 2)
    assert by_name["held"].queue == Queue("held", paused=True)
    assert by_name["printer"].workers == 0
    assert (await h.app.queries.queue("mail")).slots == 2


async def test_queues_are_shown_although_the_broker_does_not_answer(h: Harness) -> None:
    await h.submit()
    h.broker.refusing = frozenset({"depth"})
    assert (await h.app.queries.queue("default")).in_broker is None


async def test_readiness_says_what_does_not_answer(h: Harness) -> None:
    assert await h.app.queries.is_ready() == {"store": "ok", "broker": "ok"}
    h.broker.refusing = frozenset({"depth"})
    h.store.failing_read = Unavailable("the store", "gone")
    health = await h.app.queries.is_ready()
    assert health["store"] == "the store does not answer"
    assert health["broker"] == "the broker does not answer; workers take tasks from the store"


async def test_definitions_are_shown_by_name(h: Harness) -> None:
    await h.app.catalogue.register()
    names = [definition.name for definition in await h.app.queries.definitions()]
    assert names == sorted(definition.name for definition in DEFINITIONS)


async def test_a_run_is_shown_with_its_tasks_and_their_progress(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    claimed = await h.claim_one()
    half = LogEntry(claimed.id, 1, NOW, "progress", "half", {"percent": 50.0})
    await h.app.record([half])
    detail = await h.app.queries.run(run.id)
    assert {step: task.id for step, task in detail.tasks.items()} == {"one": claimed.id}
    assert detail.progress == {"one": half}


async def test_runs_are_listed_newest_first(h: Harness) -> None:
    old, new = await h.start(a_workflow()), await h.start(a_workflow(name="other"))
    await h.app.runs.pause(new.id)
    queries = h.app.queries
    assert [run.id for run in await queries.runs(RunFilter(), Page())] == [new.id, old.id]
    [paused] = await queries.runs(RunFilter((RunState.PAUSED,)), Page())
    assert paused.id == new.id
    [other] = await queries.runs(RunFilter(workflow="order"), Page())
    assert other.id == old.id


async def test_a_history_is_read_page_by_page(h: Harness) -> None:
    run = await h.start(a_workflow())
    await h.work()
    queries = h.app.queries
    first = await queries.history(run.id, 0, 2)
    rest = await queries.history(run.id, first[-1].sequence, 99)
    assert [event.sequence for event in first + rest] == [1, 2, 3, 4]


async def test_a_watcher_hears_of_several_subjects(h: Harness) -> None:
    tasks = [await h.submit() for _ in range(2)]
    async with h.app.queries.watch([task.id for task in tasks]) as events:
        await h.app.tasks.cancel([tasks[1].id])
        await h.app.tasks.cancel([tasks[0].id])
        seen = [await anext(events), await anext(events)]
    assert [event.id for event in seen] == [tasks[1].id, tasks[0].id]


async def test_dead_letters_are_the_failed_tasks(h: Harness) -> None:
    h.on("reserve", lambda task: 1 / 0)
    dead = await h.submit("reserve")
    await h.submit("charge")
    await h.work()
    listed = await h.app.queries.tasks(TaskFilter((TaskState.FAILED,)), Page())
    assert [item.task.id for item in listed] == [dead.id]
