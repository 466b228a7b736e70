"""Submitting tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cueline.application.ports.questions import Page, TaskFilter
from cueline.application.tasks import Submission
from cueline.domain.errors import InvalidInput, KeyReused, UnknownTask
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority, TaskState
from tests.doubles import NOW
from tests.harness import Harness, a_definition


async def count(h: Harness) -> int:
    """How many tasks the store has."""
    return len(await h.app.queries.tasks(TaskFilter(), Page(1000)))


async def test_a_submitted_task_is_stored_and_queued(h: Harness) -> None:
    [submitted] = await h.app.submit([Submission("send", {"order": 7})])
    assert submitted.created
    assert submitted.task.state is TaskState.QUEUED
    assert await h.task(submitted.task.id) == submitted.task


async def test_what_a_submission_leaves_open_comes_from_the_definition(h: Harness) -> None:
    task = await h.submit("print")
    assert (task.spec.queue, task.spec.retry.attempts) == ("printer", 1)
    assert task.spec.timeout is None


async def test_what_a_submission_says_holds(h: Harness) -> None:
    task = await h.submit(
        "print",
        queue="other",
        priority=Priority.CRITICAL,
        retry=RetryPolicy(attempts=9),
        timeout=timedelta(seconds=5),
        tags=("red",),
    )
    assert (task.spec.queue, task.spec.priority) == ("other", Priority.CRITICAL)
    assert task.spec.retry.attempts == 9
    assert task.spec.timeout == timedelta(seconds=5)
    assert task.spec.tags == ("red",)


async def test_a_delay_and_a_time_set_when_a_task_runs(h: Harness) -> None:
    delayed = await h.submit(delay=timedelta(minutes=5))
    at = datetime(2026, 3, 1, 15, 0, tzinfo=timezone(timedelta(hours=2)))
    timed = await h.submit(run_at=at)
    assert delayed.run_at == NOW + timedelta(minutes=5)
    assert timed.run_at == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
    assert timed.is_scheduled(NOW)


async def test_a_time_that_has_passed_is_now(h: Harness) -> None:
    assert (await h.submit(run_at=NOW - timedelta(days=1))).run_at == NOW


async def test_answers_are_in_the_order_of_the_batch(h: Harness) -> None:
    answers = await h.app.submit([Submission("send", {"n": n}) for n in range(50)])
    assert [answer.task.spec.input["n"] for answer in answers] == list(range(50))
    assert await count(h) == 50


async def test_an_empty_batch_is_allowed(h: Harness) -> None:
    assert await h.app.submit([]) == []


async def test_a_repeated_key_answers_the_first_task(h: Harness) -> None:
    [first] = await h.app.submit([Submission("send", {"order": 7}, key="k")])
    h.clock.advance(60)
    [second] = await h.app.submit([Submission("send", {"order": 7}, key="k")])
    assert not second.created
    assert second.task == first.task
    assert await count(h) == 1


async def test_a_repeated_key_answers_the_task_as_it_now_stands(h: Harness) -> None:
    await h.submit("send", {"order": 7}, key="k")
    await h.work()
    assert (await h.submit("send", {"order": 7}, key="k")).state is TaskState.SUCCEEDED


async def test_a_key_twice_in_one_batch_makes_one_task(h: Harness) -> None:
    same = Submission("send", {"order": 7}, key="k")
    first, second, other = await h.app.submit([same, same, Submission("send", {})])
    assert (first.created, second.created, other.created) == (True, False, True)
    assert first.task == second.task
    assert await count(h) == 2


@pytest.mark.parametrize(
    "other", [Submission("send", {"order": 8}, key="k"), Submission("print", {"order": 7}, key="k")]
)
async def test_a_key_that_stands_for_something_else_is_refused(
    h: Harness, other: Submission
) -> None:
    first = await h.submit("send", {"order": 7}, key="k")
    with pytest.raises(KeyReused) as refusal:
        await h.app.submit([other])
    assert refusal.value.holder == f"task {first.id}"
    assert await count(h) == 1


async def test_one_reused_key_refuses_the_whole_batch(h: Harness) -> None:
    await h.submit("send", {"order": 7}, key="k")
    with pytest.raises(KeyReused):
        await h.app.submit([Submission("send", {}), Submission("send", {"order": 8}, key="k")])
    assert await count(h) == 1


async def test_strangers_who_share_a_write_do_not_share_a_conflict(h: Harness) -> None:
    await h.submit("send", {"order": 7}, key="k")
    mine = await h.app.submit.prepare([Submission("send", {"mine": True})])
    theirs = await h.app.submit.prepare([Submission("send", {"order": 8}, key="k")])
    stored, refused = await h.app.submit.write([*mine, *theirs], each_alone=True)
    assert isinstance(refused, KeyReused)
    assert not isinstance(stored, Exception)
    assert await h.task(stored.task.id) == stored.task


async def test_keys_of_parallel_submits_make_one_task(h: Harness) -> None:
    other = Harness(beside=h)
    first = await h.app.submit.prepare([Submission("send", {}, key="k")])
    second = await other.app.submit.prepare([Submission("send", {}, key="k")])
    [winner] = await h.app.submit.write(first)
    [loser] = await other.app.submit.write(second)
    assert not isinstance(winner, Exception)
    assert not isinstance(loser, Exception)
    assert loser.task == winner.task
    assert (winner.created, loser.created) == (True, False)


async def test_an_unknown_task_is_refused_with_the_known_names(h: Harness) -> None:
    with pytest.raises(UnknownTask, match=r"'sned'.*known: .*send"):
        await h.submit("sned")
    assert await count(h) == 0


async def test_a_wrong_input_is_refused_with_its_path(h: Harness) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await h.submit("strict", {"oder": 1})
    assert [problem.path for problem in refusal.value.problems] == ["input.order"]


async def test_an_input_that_is_not_json_is_refused(h: Harness) -> None:
    with pytest.raises(InvalidInput, match=r"input\.x"):
        await h.submit("send", {"x": float("nan")})


async def test_every_wrong_option_is_named(h: Harness) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await h.submit(
            queue="no queue",
            delay=timedelta(seconds=1),
            run_at=datetime(2026, 3, 1),  # noqa: DTZ001  # the mistake to be found
            timeout=timedelta(0),
            key="k" * 256,
            tags=("",) * 21,
        )
    paths = [problem.path for problem in refusal.value.problems]
    assert set(paths) >= {"queue", "run_at", "timeout", "key", "tags", "tags[0]"}


async def test_one_wrong_submission_refuses_the_whole_batch_and_names_each(h: Harness) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await h.app.submit(
            [
                Submission("send", {}),
                Submission("sned", {}),
                Submission("strict", {}),
            ]
        )
    assert [problem.path for problem in refusal.value.problems] == ["[1].name", "[2].input.order"]
    assert await count(h) == 0


async def test_a_task_known_to_another_process_only_can_be_submitted(h: Harness) -> None:
    node = Harness(definitions=(), beside=h)
    with pytest.raises(UnknownTask):
        await node.submit("send")
    await h.app.catalogue.register()
    h.clock.advance(2)
    task = await node.submit("send")
    assert task.spec.retry.attempts == 3
    with pytest.raises(InvalidInput, match=r"input\.order"):
        await node.submit("strict")


async def test_the_definition_loaded_here_counts_before_the_stored_one(h: Harness) -> None:
    await h.app.catalogue.register()
    newer = Harness([a_definition("send", "order")], beside=h)
    with pytest.raises(InvalidInput, match=r"input\.order"):
        await newer.submit("send")


async def test_nothing_is_published_when_the_commit_fails(h: Harness) -> None:
    await h.hire()
    h.store.failing_commit = RuntimeError("disk full")
    with pytest.raises(RuntimeError, match="disk full"):
        await h.submit()
    assert await h.in_broker() == 0
    assert await count(h) == 0


async def test_watchers_hear_of_a_submitted_task(h: Harness) -> None:
    [task] = await h.app.submit.prepare([Submission("send", {})])
    async with h.app.queries.watch([task.id]) as events:
        await h.app.submit.write([task])
        event = await anext(events)
    assert (event.type, event.sequence, event.data["state"]) == ("status", 1, "queued")
