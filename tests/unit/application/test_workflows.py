"""Registering workflows, and starting runs."""

from __future__ import annotations

import pytest

from cueline.application.workflows import Start
from cueline.domain.errors import (
    DefinitionChanged,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
)
from cueline.domain.identifiers import Purpose, step_task_id
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step
from cueline.domain.workflow.run import RunState
from tests.factories import a_step, a_workflow
from tests.harness import Harness

# --- registering ----------------------------------------------------------------------------------


async def test_a_registered_workflow_can_be_found(h: Harness) -> None:
    first, second = a_workflow(version=1), a_workflow(version=2, steps=[a_step("other")])
    assert await h.app.register(first)
    assert await h.app.register(second)
    assert await h.app.start.find("order", 1) == first
    assert await h.app.start.find("order") == second
    assert await h.app.queries.workflows() == [first, second]


async def test_registering_the_same_again_changes_nothing(h: Harness) -> None:
    assert await h.app.register(a_workflow())
    assert not await h.app.register(a_workflow())


async def test_a_changed_workflow_needs_a_new_version(h: Harness) -> None:
    await h.app.register(a_workflow())
    with pytest.raises(DefinitionChanged, match="as version 2"):
        await h.app.register(a_workflow(steps=[a_step("other")]))
    assert await h.app.start.find("order") == a_workflow()


async def test_a_workflow_of_unknown_tasks_is_refused_with_every_place(h: Harness) -> None:
    steps = [
        a_step("one", task="sned"),
        Step("two", "send", compensate=Compensation("unsned", {})),
    ]
    with pytest.raises(InvalidDefinition) as refusal:
        await h.app.register(a_workflow(steps=steps))
    assert [problem.path for problem in refusal.value.problems] == [
        "steps.one.task",
        "steps.two.compensate.task",
    ]
    with pytest.raises(InvalidDefinition):
        await h.app.start.inline(a_workflow(steps=steps))
    assert await h.app.queries.workflows() == []


async def test_a_workflow_nobody_registered_is_not_found(h: Harness) -> None:
    await h.app.register(a_workflow())
    with pytest.raises(NotFound, match="known: order"):
        await h.app.start.find("ordre")
    with pytest.raises(NotFound, match="order version 2"):
        await h.app.start.find("order", 2)


# --- starting -------------------------------------------------------------------------------------


async def test_a_started_run_has_its_first_steps_under_way(h: Harness) -> None:
    steps = [a_step("one"), a_step("two"), a_step("three", after="one two")]
    run = await h.start(a_workflow(steps=steps), {"order": 7})
    assert run.state is RunState.RUNNING
    assert await h.step_states(run.id) == {"one": "running", "two": "running", "three": "waiting"}
    assert set((await h.app.queries.run(run.id)).tasks) == {"one", "two"}
    assert await h.history(run.id) == ["run.started", "step.started one", "step.started two"]


async def test_a_workflow_that_came_with_the_request_runs_unregistered(h: Harness) -> None:
    run = await h.start(await h.app.start.inline(a_workflow()))
    await h.work()
    assert (await h.run(run.id)).state is RunState.SUCCEEDED
    assert await h.app.queries.workflows() == []


async def test_a_run_goes_on_with_the_version_it_was_started_with(h: Harness) -> None:
    run = await h.start(a_workflow(steps=[a_step("one"), a_step("two", after="one")]))
    await h.app.register(a_workflow(version=2))
    await h.work()
    assert list(await h.step_states(run.id)) == ["one", "two"]


async def test_a_repeated_run_key_answers_the_first_run(h: Harness) -> None:
    first = await h.start(a_workflow(), {"order": 7}, key="k")
    await h.work()
    [again] = await h.app.start([Start(a_workflow(), {"order": 7}, "k")])
    assert not again.created
    assert again.run == await h.run(first.id)
    assert again.run.state is RunState.SUCCEEDED


async def test_a_run_key_that_stands_for_something_else_is_refused(h: Harness) -> None:
    first = await h.start(a_workflow(), {"order": 7}, key="k")
    with pytest.raises(KeyReused, match=first.id):
        await h.start(a_workflow(), {"order": 8}, key="k")
    with pytest.raises(KeyReused):
        await h.start(a_workflow(name="another"), {"order": 7}, key="k")


async def test_a_run_key_holds_across_versions_since_a_name_means_the_latest(h: Harness) -> None:
    first = await h.start(a_workflow(), {"order": 7}, key="k")
    [again] = await h.app.start([Start(a_workflow(version=2), {"order": 7}, "k")])
    assert again.run.id == first.id
    assert again.run.workflow.version == 1


async def test_runs_are_started_all_or_none(h: Harness) -> None:
    await h.start(a_workflow(), 7, key="k")
    with pytest.raises(KeyReused):
        await h.app.start([Start(a_workflow(), 1), Start(a_workflow(), 8, "k")])
    assert len(await h.work()) == 1


async def test_a_run_key_twice_in_one_batch_starts_one_run(h: Harness) -> None:
    same = Start(a_workflow(), 7, "k")
    first, second, other = await h.app.start([same, same, Start(a_workflow(), 7)])
    assert (first.created, second.created, other.created) == (True, False, True)
    assert first.run == second.run
    assert len(await h.work()) == 2


async def test_runs_of_parallel_starts_with_one_key_are_one(h: Harness) -> None:
    other = Harness(beside=h)
    mine = await h.start(a_workflow(), 7, key="k")
    theirs = await other.start(a_workflow(), 7, key="k")
    assert mine == theirs
    assert len(await h.work()) == 1


async def test_starting_nothing_is_allowed(h: Harness) -> None:
    assert await h.app.start([]) == []


@pytest.mark.parametrize(("input", "key"), [(float("inf"), None), (None, ""), (None, "k" * 256)])
async def test_a_start_that_cannot_be_kept_is_refused(
    h: Harness, input: float | None, key: str | None
) -> None:
    with pytest.raises(InvalidInput):
        await h.start(a_workflow(), input, key=key)


async def test_nothing_starts_when_the_commit_fails(h: Harness) -> None:
    h.store.failing_commit = RuntimeError("disk full")
    with pytest.raises(RuntimeError, match="disk full"):
        await h.start(a_workflow())
    assert await h.work() == []


async def test_a_step_runs_as_its_definition_and_its_task_say(h: Harness) -> None:
    step = Step("one", "print", {"page": "${input.page}"})
    other = Step("two", "print", {}, queue="default")
    run = await h.start(a_workflow(steps=[step, other]), {"page": 3})
    tasks = (await h.app.queries.run(run.id)).tasks
    assert tasks["one"].spec.queue == "printer"
    assert tasks["two"].spec.queue == "default"
    assert tasks["one"].spec.input == {"page": 3}
    assert tasks["one"].id == step_task_id(run.id, "one", Purpose.WORK)


async def test_watchers_of_a_run_hear_of_its_steps(h: Harness) -> None:
    run = await h.start(a_workflow())
    async with h.app.queries.watch([run.id]) as events:
        await h.work()
        seen = [await anext(events) for _ in range(2)]
    assert [event.type for event in seen] == ["step.succeeded", "run.succeeded"]
