"""Steps are settled, and runs started, as if nobody else moved anything; and again if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import pytest

from cueline.application.advancing import Taker
from cueline.application.outcomes import Cancelled, Outcome, Released, Snoozed, Succeeded
from cueline.application.recent_runs import RecentRuns
from cueline.application.settle import Settled
from cueline.domain.identifiers import Purpose
from cueline.domain.json import Json
from cueline.domain.task import Origin, Task, TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.run import Run, RunState
from cueline.infrastructure.memory.runs import MemoryRuns
from tests.factories import a_run, a_step, a_task, a_workflow
from tests.harness import Harness

CHAIN = a_workflow(
    steps=[
        a_step("reserve"),
        a_step("charge", after="reserve", input={"items": "${steps.reserve.output.items}"}),
        a_step("ship", after="charge", input={"items": "${steps.reserve.output.items}"}),
    ],
)
PAIR = a_workflow(steps=[a_step("reserve"), a_step("charge"), a_step("ship", after="charge")])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many runs were locked, supposed, and read."""
    asked: Counter[str] = Counter()

    def count(name: str) -> None:
        genuine = getattr(MemoryRuns, name)

        async def counting(self: MemoryRuns, runs: Collection[Any]) -> Any:
            asked[name] += len(runs)
            return await genuine(self, runs)

        monkeypatch.setattr(MemoryRuns, name, counting)

    for name in ("lock_many", "suppose", "get_many"):
        count(name)
    return asked


async def settle(h: Harness, worker: Worker, outcomes: Sequence[Outcome]) -> Settled:
    """Settle, and take along all that follows."""
    return await h.app.settle(outcomes, taker=Taker(worker, h.executor.names, 10))


async def settle_one(h: Harness, worker: Worker, task: Task, *items: Json) -> Task:
    """Settle a step whose output these items are, and take along the one that follows."""
    output: Json = {"items": list(items)}
    [follower] = (await settle(h, worker, [Succeeded(task, output)])).claimed
    return follower


async def test_a_step_that_was_claimed_or_taken_along_is_settled_without_reading_its_run(
    h: Harness, asked: Counter[str]
) -> None:
    worker = await h.hire(slots=10)
    await h.start(CHAIN)
    charge = await settle_one(h, worker, await h.claim_one(worker))
    ship = await settle_one(h, worker, charge)
    settled = await settle(h, worker, [Succeeded(ship, None)])
    assert asked == {"suppose": 3}
    assert settled.accepted[0].spec.origin is not None
    run = await h.run(settled.accepted[0].spec.origin.run_id)
    assert run.state is RunState.SUCCEEDED


async def test_a_run_that_was_steered_meanwhile_is_read_again(
    h: Harness, asked: Counter[str]
) -> None:
    worker = await h.hire(slots=10)
    run = await h.start(CHAIN)
    charge = await settle_one(h, worker, await h.claim_one(worker))
    await h.app.runs.pause(run.id)
    asked.clear()
    settled = await settle(h, worker, [Succeeded(charge, None)])
    assert asked == {"suppose": 1, "lock_many": 1}
    assert [task.state for task in settled.accepted] == [TaskState.SUCCEEDED]
    assert settled.claimed == ()
    paused = await h.run(run.id)
    assert paused.state is RunState.PAUSED
    assert paused.steps["charge"].is_done


async def test_what_turned_out_to_be_outdated_is_not_supposed_again(
    h: Harness, asked: Counter[str]
) -> None:
    worker = await h.hire(slots=10)
    run = await h.start(CHAIN)
    charge = await settle_one(h, worker, await h.claim_one(worker))
    await h.app.runs.pause(run.id)
    await h.app.runs.resume(run.id)
    ship = await settle_one(h, worker, charge)
    asked.clear()
    await settle(h, worker, [Succeeded(ship, None)])
    assert asked == {"suppose": 1}  # as it was left under the lock


async def test_an_outcome_that_comes_too_late_is_refused_and_the_others_are_kept(
    h: Harness,
) -> None:
    worker = await h.hire(slots=10)
    for _ in range(2):
        await h.start(CHAIN)
    late, timely = [await settle_one(h, worker, task) for task in await h.claim(worker)]
    await h.app.tasks.cancel([late.id])
    settled = await settle(h, worker, [Succeeded(late, None), Succeeded(timely, None)])
    assert settled.refused == {late.id}
    assert [task.id for task in settled.accepted] == [timely.id]
    assert len(settled.claimed) == 1
    assert (await h.task(late.id)).state is TaskState.CANCELLED


async def test_a_run_whose_other_steps_are_under_way_is_locked(
    h: Harness, asked: Counter[str]
) -> None:
    worker = await h.hire(slots=10)
    await h.start(PAIR)
    steps = await h.claim_steps()
    await settle(h, worker, [Succeeded(steps["reserve"], None)])
    assert asked["lock_many"] == 1
    assert asked["suppose"] == 0
    asked.clear()
    await settle(h, worker, [Succeeded(steps["charge"], None)])  # which alone is left
    assert asked == {"get_many": 1, "suppose": 1}


async def test_all_steps_under_way_may_end_together(h: Harness, asked: Counter[str]) -> None:
    worker = await h.hire(slots=10)
    run = await h.start(PAIR)
    await settle(h, worker, [Succeeded(task, None) for task in await h.claim(worker)])
    assert asked == {"get_many": 1, "suppose": 1}
    assert (await h.run(run.id)).remaining == 1


async def test_whoever_takes_nothing_along_locks_the_run(h: Harness, asked: Counter[str]) -> None:
    worker = await h.hire(slots=10)
    await h.start(CHAIN)
    await h.settle(Cancelled(await h.claim_one(worker)))
    assert asked == {"lock_many": 1}


async def test_a_handler_that_changes_its_input_changes_no_other_step_s(h: Harness) -> None:
    worker = await h.hire(slots=10)
    await h.start(CHAIN)
    charge = await settle_one(h, worker, await h.claim_one(worker), "book")
    items = charge.spec.input["items"]
    assert isinstance(items, list)
    items.append("changed")
    ship = await settle_one(h, worker, charge)
    assert ship.spec.input == {"items": ["book"]}


async def test_a_start_that_finds_its_key_taken_meanwhile_answers_with_that_run(
    h: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the store saw it when it was asked."""
    first = await h.start(CHAIN, key="order-1")
    genuine = MemoryRuns.by_keys
    blind = iter([True])

    async def by_keys(self: MemoryRuns, keys: Collection[str]) -> list[Run]:
        return [] if next(blind, False) else await genuine(self, keys)

    monkeypatch.setattr(MemoryRuns, "by_keys", by_keys)
    assert (await h.start(CHAIN, key="order-1")).id == first.id


async def test_a_step_that_is_tried_again_locks_its_run(h: Harness, asked: Counter[str]) -> None:
    """Its run is not saved: a cancel under way, which has seen it running, would not be noticed."""
    worker = await h.hire(slots=10)
    await h.start(CHAIN)
    charge = await settle_one(h, worker, await h.claim_one(worker))
    for outcome in (Released(charge), Snoozed(charge, timedelta(days=1))):
        asked.clear()
        await settle(h, worker, [outcome])
        assert asked == {"lock_many": 1}


def test_only_runs_of_which_a_step_was_claimed_are_remembered() -> None:
    recent = RecentRuns()
    ours, others = a_run(), a_run()
    recent.note([ours, others], [a_step_of(ours)])
    assert recent.find([ours.id, others.id]) == {ours.id: ours}
    recent.note([ours], [])
    assert recent.find([ours.id]) == {}


def test_of_too_many_runs_the_latest_are_remembered() -> None:
    recent = RecentRuns(most=2)
    first, second, third = (a_run() for _ in range(3))
    for run in (first, second, first, third):
        recent.note([run], [a_step_of(run)])
    assert set(recent.find([first.id, second.id, third.id])) == {first.id, third.id}


def a_step_of(run: Run) -> Task:
    return a_task(origin=Origin(run.id, "charge", Purpose.WORK))
