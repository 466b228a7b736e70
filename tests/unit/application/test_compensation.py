"""Compensation: what a run has done is undone when it cannot be completed."""

from __future__ import annotations

from datetime import timedelta

from cueline.application.outcomes import Failed, Succeeded
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.json import Json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Task
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.run import RunState
from tests.factories import a_workflow
from tests.harness import Harness

BROKEN = Failure("ValueError", "broken")


def undoable(name: str, undo: str, *after: str) -> Step:
    """A step named as its task, whose undo is given the step's output."""
    compensate = Compensation(undo, {"of": f"${{steps.{name}.output}}"})
    return Step(name, name, {"order": "${input}"}, after, compensate)


CHAIN = a_workflow(
    steps=[
        undoable("reserve", "unreserve"),
        undoable("pack", "unpack", "reserve"),
        Step("print", "send", {}, ("pack",)),
        undoable("charge", "refund", "print"),
        Step("ship", "ship", {}, ("charge",)),
    ]
)

PAIR = a_workflow(steps=[undoable("reserve", "unreserve"), undoable("charge", "refund")])


def fail(task: Task) -> Json:
    """A handler that never succeeds."""
    raise ValueError(task.spec.name)


def executed(h: Harness) -> list[str]:
    """The names of the tasks that ran."""
    return [task.spec.name for task in h.executor.executed]


async def test_what_was_done_is_undone_in_reverse_order(h: Harness) -> None:
    h.on("ship", fail)
    h.on("charge", lambda task: {"receipt": 99})
    run = await h.start(CHAIN, 7)
    await h.work()
    assert executed(h)[5:] == ["refund", "unpack", "unreserve"]
    assert h.executor.executed[5].spec.input == {"of": {"receipt": 99}}
    ended = await h.run(run.id)
    assert ended.state is RunState.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.summary == "ValueError: ship"
    assert await h.step_states(run.id) == {
        "reserve": "compensated",
        "pack": "compensated",
        "print": "succeeded",
        "charge": "compensated",
        "ship": "failed",
    }


async def test_the_history_tells_the_whole_story(h: Harness) -> None:
    h.on("charge", fail)
    run = await h.start(
        a_workflow(
            steps=[undoable("reserve", "unreserve"), undoable("charge", "refund", "reserve")]
        )
    )
    await h.work()
    assert await h.history(run.id) == [
        "run.started",
        "step.started reserve",
        "step.succeeded reserve",
        "step.started charge",
        "step.failed charge",
        "run.compensating",
        "step.compensating reserve",
        "step.compensated reserve",
        "run.compensated",
    ]


async def test_one_step_is_undone_after_the_other(h: Harness) -> None:
    h.on("ship", fail)
    await h.start(CHAIN, 7)
    await h.work(at_most=5)
    for undo in ("refund", "unpack", "unreserve"):
        claimed = await h.claim_one()
        assert claimed.spec.name == undo
        await h.settle(Succeeded(claimed, None))


async def test_parallel_steps_are_undone_by_the_order_in_which_they_were_done(h: Harness) -> None:
    steps = [*PAIR.steps, Step("ship", "ship", {}, ("reserve", "charge"))]
    h.on("ship", fail)
    for order in (("reserve", "charge"), ("charge", "reserve")):
        await h.start(a_workflow(steps=steps), 7)
        claimed = await h.claim_steps()
        for name in order:
            await h.settle(Succeeded(claimed[name], 1))
        await h.work()
    assert executed(h) == ["ship", "refund", "unreserve", "ship", "unreserve", "refund"]


async def test_a_step_that_failed_is_not_undone(h: Harness) -> None:
    h.on("reserve", fail)
    run = await h.start(CHAIN, 7)
    await h.work()
    assert executed(h) == ["reserve"]
    assert (await h.run(run.id)).state is RunState.FAILED


async def test_a_run_that_succeeds_undoes_nothing(h: Harness) -> None:
    run = await h.start(CHAIN, 7)
    await h.work()
    assert executed(h) == ["reserve", "pack", "send", "charge", "ship"]
    assert (await h.run(run.id)).state is RunState.SUCCEEDED


async def test_a_sibling_that_finishes_after_the_failure_is_undone_too(h: Harness) -> None:
    run = await h.start(PAIR, 7)
    claimed = await h.claim_steps()
    await h.settle(Failed(claimed["reserve"], BROKEN))
    assert await h.claim() == []
    await h.settle(Succeeded(claimed["charge"], {"receipt": 1}))
    await h.work()
    assert executed(h) == ["refund"]
    assert (await h.run(run.id)).state is RunState.COMPENSATED


async def test_a_sibling_that_finishes_in_the_same_batch_is_undone_too(h: Harness) -> None:
    for failing, finishing in (("reserve", "charge"), ("charge", "reserve")):
        run = await h.start(PAIR, 7)
        claimed = await h.claim_steps()
        await h.settle(Failed(claimed[failing], BROKEN), Succeeded(claimed[finishing], 1))
        await h.work()
        assert (await h.run(run.id)).state is RunState.COMPENSATED
    assert executed(h) == ["refund", "unreserve"]


async def test_a_success_before_a_failure_in_the_same_batch_is_undone_too(h: Harness) -> None:
    run = await h.start(PAIR, 7)
    claimed = await h.claim_steps()
    await h.settle(Succeeded(claimed["reserve"], 1), Failed(claimed["charge"], BROKEN))
    await h.work()
    assert executed(h) == ["unreserve"]
    assert (await h.run(run.id)).state is RunState.COMPENSATED


async def test_an_undo_is_retried_as_its_policy_says(h: Harness) -> None:
    def third_time(task: Task) -> Json:
        return fail(task) if task.attempt < 3 else None

    h.on("unreserve", third_time)
    h.on("charge", fail)
    retry = RetryPolicy(attempts=3, first=timedelta(seconds=5))
    steps = [
        Step("reserve", "reserve", {}, (), Compensation("unreserve", {}, retry)),
        Step("charge", "charge", {}, ("reserve",)),
    ]
    run = await h.start(a_workflow(steps=steps))
    await h.work_for(15)
    assert (await h.run(run.id)).state is RunState.COMPENSATED
    undo = await h.task(step_task_id(run.id, "reserve", Purpose.UNDO))
    assert (undo.attempt, undo.failures) == (3, 2)


async def test_an_undo_that_fails_stops_the_compensation_until_it_is_retried(h: Harness) -> None:
    h.on("ship", fail)
    h.on("unpack", fail)
    run = await h.start(CHAIN, 7)
    await h.work()
    stopped = await h.run(run.id)
    assert stopped.state is RunState.COMPENSATION_FAILED
    assert executed(h)[5:] == ["refund", "unpack"]
    states = await h.step_states(run.id)
    assert (states["charge"], states["pack"]) == ("compensated", "compensation_failed")
    assert states["reserve"] == "succeeded"

    del h.executor.handlers["unpack"]
    retried = await h.app.runs.retry(run.id)
    assert retried.state is RunState.COMPENSATING
    await h.work()
    assert executed(h)[7:] == ["unpack", "unreserve"]
    ended = await h.run(run.id)
    assert ended.state is RunState.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.summary == "ValueError: ship"
    undo = await h.task(step_task_id(run.id, "pack", Purpose.UNDO))
    assert undo.attempt == 2


async def test_an_undo_may_fail_and_be_retried_many_times(h: Harness) -> None:
    h.on("charge", fail)
    h.on("unreserve", fail)
    steps = [undoable("reserve", "unreserve"), undoable("charge", "refund", "reserve")]
    run = await h.start(a_workflow(steps=steps), 7)
    for _ in range(4):
        await h.work()
        assert (await h.run(run.id)).state is RunState.COMPENSATION_FAILED
        await h.app.runs.retry(run.id)
    del h.executor.handlers["unreserve"]
    await h.work()
    assert (await h.run(run.id)).state is RunState.COMPENSATED
    assert executed(h).count("unreserve") == 5


async def test_an_undo_whose_input_cannot_be_made_fails(h: Harness) -> None:
    compensate = Compensation("unreserve", {"id": "${steps.reserve.output.id}"})
    steps = [
        Step("reserve", "reserve", {}, (), compensate),
        Step("charge", "charge", {}, ("reserve",)),
    ]
    h.on("reserve", lambda task: {"number": 1})
    h.on("charge", fail)
    run = await h.start(a_workflow(steps=steps))
    await h.work()
    assert (await h.run(run.id)).state is RunState.COMPENSATION_FAILED
    assert (await h.app.runs.retry(run.id)).state is RunState.COMPENSATION_FAILED


async def test_an_undo_whose_input_does_not_fit_fails(h: Harness) -> None:
    steps = [
        Step("reserve", "reserve", {}, (), Compensation("strict", {})),
        Step("charge", "charge", {}, ("reserve",)),
    ]
    h.on("charge", fail)
    run = await h.start(a_workflow(steps=steps))
    await h.work()
    assert (await h.run(run.id)).state is RunState.COMPENSATION_FAILED
    failure = (await h.run(run.id)).steps["reserve"].failure
    assert failure is not None
    assert "input.order: is missing" in failure.message
    assert (await h.app.runs.retry(run.id)).state is RunState.COMPENSATION_FAILED


async def test_cancelling_an_undo_stops_the_compensation_until_it_is_retried(h: Harness) -> None:
    h.on("charge", fail)
    steps = [undoable("reserve", "unreserve"), undoable("charge", "refund", "reserve")]
    run = await h.start(a_workflow(steps=steps), 7)
    await h.work(at_most=2)
    await h.app.tasks.cancel([step_task_id(run.id, "reserve", Purpose.UNDO)])
    assert (await h.run(run.id)).state is RunState.COMPENSATION_FAILED
    await h.app.runs.retry(run.id)
    await h.work()
    assert (await h.run(run.id)).state is RunState.COMPENSATED
