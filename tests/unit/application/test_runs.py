"""Runs: steps one after the other and side by side, and how a run fails."""

from __future__ import annotations

from datetime import timedelta

from cueline.application.outcomes import Failed, Succeeded
from cueline.domain.failure import Failure
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.run import RunState
from tests.factories import a_step, a_workflow
from tests.harness import Harness

BROKEN = Failure("ValueError", "broken")

DIAMOND = a_workflow(
    steps=[
        a_step("start", task="reserve"),
        a_step("left", task="charge", after="start"),
        a_step("right", task="pack", after="start"),
        a_step("join", task="ship", after="left right"),
    ]
)


def fail(task: Task) -> Json:
    """A handler that never succeeds."""
    raise ValueError(task.spec.name)


def names(tasks: list[Task]) -> list[str]:
    """For which steps tasks work."""
    return [task.spec.origin.step for task in tasks if task.spec.origin is not None]


# --- one after the other --------------------------------------------------------------------------


async def test_steps_run_in_order_and_hand_on_their_outputs(h: Harness) -> None:
    workflow = a_workflow(
        steps=[
            a_step("one", task="reserve", input={"order": "${input.order}"}),
            a_step(
                "two",
                task="charge",
                input={
                    "whole": "${steps.one.output}",
                    "part": "${steps.one.output.items[1]}",
                    "text": "order ${input.order}",
                },
            ),
        ],
        output={"all": "${steps.two.output.whole}"},
    )
    h.on("reserve", lambda task: {"items": [1, {"id": 2}], "seen": task.spec.input["order"]})
    run = await h.start(workflow, {"order": 7})
    assert names(await h.work()) == ["one", "two"]
    assert h.executor.executed[1].spec.input == {
        "whole": {"items": [1, {"id": 2}], "seen": 7},
        "part": {"id": 2},
        "text": "order 7",
    }
    ended = await h.run(run.id)
    assert ended.state is RunState.SUCCEEDED
    assert ended.output == {"all": {"items": [1, {"id": 2}], "seen": 7}}
    assert ended.ended_at == h.clock.now()
    assert await h.history(run.id) == [
        "run.started",
        "step.started one",
        "step.succeeded one",
        "step.started two",
        "step.succeeded two",
        "run.succeeded",
    ]


async def test_a_chain_of_fifty_steps_ends(h: Harness) -> None:
    steps = [a_step(f"s{n}", after=f"s{n - 1}" if n else "") for n in range(50)]
    run = await h.start(a_workflow(steps=steps))
    assert names(await h.work()) == [f"s{n}" for n in range(50)]
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_a_step_is_retried_like_any_task(h: Harness) -> None:
    def second_time(task: Task) -> Json:
        return fail(task) if task.attempt == 1 else "done"

    h.on("reserve", second_time)
    step = Step("one", "reserve", retry=RetryPolicy(attempts=2, first=timedelta(seconds=5)))
    run = await h.start(a_workflow(steps=[step]))
    await h.work_for(5)
    assert (await h.run(run.id)).state is RunState.SUCCEEDED
    assert await h.history(run.id) == [
        "run.started",
        "step.started one",
        "step.succeeded one",
        "run.succeeded",
    ]


# --- side by side ---------------------------------------------------------------------------------


async def test_a_join_waits_for_every_branch(h: Harness) -> None:
    run = await h.start(DIAMOND)
    await h.settle(Succeeded(await h.claim_one(), 1))
    claimed = await h.claim_steps()
    await h.settle(Succeeded(claimed["left"], 1))
    assert (await h.step_states(run.id))["join"] == "waiting"
    assert await h.claim() == []
    await h.settle(Succeeded(claimed["right"], 1))
    assert (await h.step_states(run.id))["join"] == "running"
    assert names(await h.work()) == ["join"]
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_branches_that_end_in_one_batch_start_the_join_once(h: Harness) -> None:
    run = await h.start(DIAMOND)
    await h.settle(Succeeded(await h.claim_one(), 1))
    claimed = await h.claim_steps()
    await h.settle(Succeeded(claimed["right"], 1), Succeeded(claimed["left"], 1))
    assert names(await h.work()) == ["join"]
    assert (await h.history(run.id)).count("step.started join") == 1


async def test_a_wide_fan_in_starts_its_join_once(h: Harness) -> None:
    wide = [a_step(f"b{n}") for n in range(100)]
    join = a_step("join", after=" ".join(step.name for step in wide))
    run = await h.start(a_workflow(steps=[*wide, join]))
    await h.hire(slots=50)
    claimed = await h.claim(limit=100)
    assert len(claimed) == 100
    for part in range(0, 100, 30):
        await h.settle(*(Succeeded(task, 1) for task in claimed[part : part + 30]))
    assert names(await h.work()) == ["join"]
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_runs_settled_in_one_batch_do_not_mix(h: Harness) -> None:
    steps = [a_step("one"), a_step("two", after="one", input={"of": "${input}"})]
    runs = [await h.start(a_workflow(steps=steps), n) for n in range(10)]
    await h.hire(slots=50)
    await h.settle(*(Succeeded(task, 1) for task in await h.claim()))
    await h.work()
    assert [task.spec.input for task in h.executor.executed] == [{"of": n} for n in range(10)]
    for run in runs:
        assert (await h.run(run.id)).state is RunState.SUCCEEDED


# --- failing --------------------------------------------------------------------------------------


async def test_a_failed_step_fails_the_run_and_starts_nothing_more(h: Harness) -> None:
    h.on("reserve", fail)
    run = await h.start(DIAMOND)
    await h.work()
    ended = await h.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert ended.failure.summary == "ValueError: reserve"
    assert (await h.step_states(run.id))["left"] == "waiting"
    assert await h.work_for(60) == []


async def test_a_sibling_that_is_running_may_finish_before_the_run_ends(h: Harness) -> None:
    run = await h.start(DIAMOND)
    await h.settle(Succeeded(await h.claim_one(), 1))
    claimed = await h.claim_steps()
    await h.settle(Failed(claimed["left"], BROKEN))
    assert (await h.run(run.id)).state is RunState.COMPENSATING
    assert (await h.step_states(run.id))["right"] == "running"
    assert (await h.settle(Succeeded(claimed["right"], 1))).refused == frozenset()
    assert (await h.run(run.id)).state is RunState.FAILED
    assert (await h.step_states(run.id))["join"] == "waiting"


async def test_a_sibling_that_only_waits_is_withdrawn(h: Harness) -> None:
    run = await h.start(DIAMOND)
    await h.settle(Succeeded(await h.claim_one(), 1))
    [first] = await h.claim(limit=1)
    await h.settle(Failed(first, BROKEN))
    assert (await h.run(run.id)).state is RunState.FAILED
    states = await h.step_states(run.id)
    assert {states["left"], states["right"]} == {"failed", "cancelled"}
    tasks = (await h.app.queries.run(run.id)).tasks
    assert {tasks["left"].state, tasks["right"].state} == {TaskState.FAILED, TaskState.CANCELLED}
    assert await h.work_for(60) == []


async def test_a_sibling_that_waits_for_its_retry_is_withdrawn(h: Harness) -> None:
    slow = Step("slow", "charge", retry=RetryPolicy(attempts=5, first=timedelta(hours=1)))
    run = await h.start(a_workflow(steps=[slow, a_step("quick", task="pack")]))
    claimed = await h.claim_steps()
    await h.settle(Failed(claimed["slow"], BROKEN), Failed(claimed["quick"], BROKEN))
    assert (await h.run(run.id)).state is RunState.FAILED
    assert await h.step_states(run.id) == {"slow": "cancelled", "quick": "failed"}
    assert await h.work_for(7200, step=600) == []


async def test_both_siblings_may_fail_in_one_batch(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("a", task="pack"), a_step("b", task="charge")]))
    first, second = await h.claim()
    await h.settle(Failed(first, BROKEN), Failed(second, BROKEN))
    assert (await h.run(run.id)).state is RunState.FAILED
    assert await h.step_states(run.id) == {"a": "failed", "b": "failed"}


# --- inputs that cannot be made -------------------------------------------------------------------


async def test_a_missing_field_fails_the_step_and_says_what_there_is(h: Harness) -> None:
    steps = [
        a_step("one", task="reserve"),
        a_step("two", task="charge", input={"id": "${steps.one.output.id}"}),
    ]
    h.on("reserve", lambda task: {"number": 7})
    run = await h.start(a_workflow(steps=steps))
    await h.work()
    ended = await h.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert "has no 'id'; it has: number" in ended.failure.message
    assert await h.step_states(run.id) == {"one": "succeeded", "two": "failed"}
    assert (await h.history(run.id))[-3:] == ["step.failed two", "run.compensating", "run.failed"]


async def test_a_run_whose_first_input_cannot_be_made_ends_at_once(h: Harness) -> None:
    steps = [a_step("fine"), a_step("wrong", input={"order": "${input.order}"})]
    run = await h.start(a_workflow(steps=steps), {"oder": 7})
    assert run.state is RunState.FAILED
    assert await h.step_states(run.id) == {"fine": "cancelled", "wrong": "failed"}
    assert await h.work_for(60) == []


async def test_an_input_that_does_not_fit_its_task_fails_the_step(h: Harness) -> None:
    steps = [a_step("one", task="reserve"), a_step("two", task="strict", after="one")]
    run = await h.start(a_workflow(steps=steps))
    await h.work()
    ended = await h.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert "input.order: is missing" in ended.failure.message
    assert [task.spec.name for task in h.executor.executed] == ["reserve"]


async def test_a_first_input_that_does_not_fit_withdraws_its_siblings(h: Harness) -> None:
    steps = [a_step("before"), a_step("wrong", task="strict"), a_step("behind")]
    run = await h.start(a_workflow(steps=steps))
    assert run.state is RunState.FAILED
    states = await h.step_states(run.id)
    assert states == {"before": "cancelled", "wrong": "failed", "behind": "cancelled"}
    assert await h.work_for(60) == []


async def test_an_output_of_the_run_that_cannot_be_made_fails_it(h: Harness) -> None:
    run = await h.start(a_workflow(output="${steps.first.output.missing}"))
    await h.work()
    ended = await h.run(run.id)
    assert ended.state is RunState.FAILED
    assert ended.failure is not None
    assert "missing" in ended.failure.message
