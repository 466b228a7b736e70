"""A workflow is checked when it is made, and every problem is named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from cueline.domain.errors import InvalidDefinition
from cueline.domain.json import Json
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import MOST_STEPS, Step, Workflow
from cueline.domain.workflow.expression import DEEPEST_TEMPLATE
from tests.unit.domain.factories import a_chain, a_step, a_workflow


def problems(*steps: Step, name: str = "order", version: int = 1, output: Json = None) -> list[str]:
    with pytest.raises(InvalidDefinition) as refused:
        Workflow(name, version, steps, output)
    assert refused.value.summary.startswith("workflow ")
    return [str(problem) for problem in refused.value.problems]


def undone_by(name: str, input: Mapping[str, Json], *after: str) -> Step:
    return a_step(name, *after, compensate=Compensation("undo", input))


# --- a sound workflow -----------------------------------------------------------------------------


def test_needs_come_from_after_and_from_the_expressions_of_the_input() -> None:
    workflow = a_workflow(
        a_step("a"),
        a_step("b"),
        a_step("c", "a", input={"x": ["${steps.b.output.id}", "${input.x}"]}),
    )
    assert workflow.needs == {"a": set(), "b": set(), "c": {"a", "b"}}
    assert workflow.dependents == {"a": ("c",), "b": ("c",), "c": ()}
    assert workflow.by_name["c"].after == ("a",)


def test_steps_may_stand_in_any_order() -> None:
    assert a_workflow(a_step("b", "a"), a_step("a")).needs["b"] == {"a"}


def test_naming_a_step_twice_in_after_is_naming_it_once() -> None:
    workflow = a_workflow(a_step("a"), a_step("b", "a", "a", input={"x": "${steps.a.output}"}))
    assert workflow.needs["b"] == {"a"}
    assert workflow.dependents["a"] == ("b",)


def test_dependents_are_in_the_order_of_the_steps() -> None:
    names = [f"s{number}" for number in range(20)]
    workflow = a_workflow(a_step("first"), *(a_step(name, "first") for name in names))
    assert workflow.dependents["first"] == tuple(names)


def test_every_task_that_is_used_is_known_with_its_path() -> None:
    workflow = a_workflow(a_step("a"), a_step("b", undo=True))
    assert list(workflow.tasks) == [
        ("steps.a.task", "a"),
        ("steps.b.task", "b"),
        ("steps.b.compensate.task", "undo_b"),
    ]


def test_an_undo_may_use_the_run_s_input_its_own_output_and_that_of_all_it_needed() -> None:
    use = {"a": "${steps.a.output.x}", "c": "${steps.c.output.y}", "i": "${input.z}"}
    a_workflow(a_step("a"), a_step("b", "a"), undone_by("c", use, "b"))


def test_workflows_that_say_the_same_are_equal() -> None:
    assert a_workflow(a_step("a")) == a_workflow(a_step("a"))
    assert a_workflow(a_step("a")) != a_workflow(a_step("b"))
    assert a_workflow(a_step("a")) != a_workflow(a_step("a"), output="${input}")


# --- names ----------------------------------------------------------------------------------------


def test_a_workflow_needs_a_name_a_version_and_a_step() -> None:
    assert problems(name="", version=0) == [
        "name: '' is not a name: use a letter, then up to 99 letters, digits, '_', '-' or '.'",
        "version: use a whole number from 1",
        "steps: a workflow needs at least one step",
    ]


def test_a_version_has_a_limit() -> None:
    assert problems(a_step("a"), version=2**31) == ["version: use a whole number from 1"]


def test_two_steps_cannot_have_one_name() -> None:
    assert problems(a_step("a"), a_step("b"), a_step("a")) == ["steps.a: two steps have this name"]


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a.b", "a b", "é", "a\n", "a" * 65])
def test_the_name_of_a_step_has_to_fit_into_an_expression(name: str) -> None:
    (problem,) = problems(a_step(name, task="t"))
    assert problem == (
        f"steps.{name[:64]}: a step's name is a letter or '_', then up to 63 letters, digits or '_'"
    )


def test_the_names_of_tasks_and_queues_are_checked() -> None:
    step = a_step("a", task="no name", queue="", compensate=Compensation("neither this", {}))
    found = problems(step)
    assert [problem.split(":")[0] for problem in found] == [
        "steps.a.queue",
        "steps.a.task",
        "steps.a.compensate.task",
    ]


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)], ids=str)
def test_a_timeout_is_more_than_zero(timeout: timedelta) -> None:
    step = a_step("a", timeout=timeout, compensate=Compensation("undo", {}, timeout=timeout))
    assert problems(step) == [
        "steps.a.timeout: use more than zero",
        "steps.a.compensate.timeout: use more than zero",
    ]


# --- references -----------------------------------------------------------------------------------


def test_an_unknown_step_is_named_wherever_it_is_referred_to() -> None:
    gone: dict[str, Json] = {"list": [0, "${steps.gone.output.x}"]}
    found = problems(
        a_step("a", "gone"), a_step("b", input=gone), undone_by("c", gone), output=gone
    )
    none = "there is no step 'gone'; the steps are: a, b, c"
    assert found == [
        f"steps.a.after[0]: {none}",
        f"steps.b.input.list[1]: ${{steps.gone.output.x}}: {none}",
        f"steps.c.compensate.input.list[1]: ${{steps.gone.output.x}}: {none}",
        f"output.list[1]: ${{steps.gone.output.x}}: {none}",
    ]


def test_an_expression_that_cannot_be_read_is_named_wherever_it_stands() -> None:
    found = problems(a_step("a", input={"x": "${oops}"}), undone_by("b", {"y": "${"}), output="${}")
    assert [problem.split(" ")[0:2] for problem in found] == [
        ["steps.a.input:", "x:"],
        ["steps.b.compensate.input:", "y:"],
        ["output:", "${}"],
    ]


def test_a_template_that_is_not_json_is_refused_with_its_path() -> None:
    found = problems(a_step("a", input={"x": [object()]}), undone_by("b", {1: 2}))  # type: ignore[dict-item]
    assert found == [
        "steps.a.input.x[0]: a object has no form in JSON",
        "steps.b.compensate.input: a key is of type int, which is not plain text",
    ]


def test_a_template_has_a_greatest_depth() -> None:
    template: Json = "x"
    for _ in range(DEEPEST_TEMPLATE):
        template = [template]
    assert "levels deep" in problems(a_step("a", input={"x": template}))[0]


# --- circles --------------------------------------------------------------------------------------


def test_a_step_cannot_wait_for_itself() -> None:
    circle = ["steps.a: the steps wait for one another in a circle: a -> a"]
    assert problems(a_step("a", "a")) == circle
    assert problems(a_step("a", input={"x": "${steps.a.output}"})) == circle


def test_a_circle_is_named_step_by_step() -> None:
    (problem,) = problems(
        a_step("start"), a_step("a", "start", "c"), a_step("b", "a"), a_step("c", "b")
    )
    assert problem == ("steps.a: the steps wait for one another in a circle: a -> b -> c -> a")


def test_a_circle_of_a_thousand_steps_is_found() -> None:
    first, *others = a_chain(f"s{number}" for number in range(1000))
    (problem,) = problems(a_step(first.name, others[-1].name), *others)
    assert problem.count(" -> ") == 1000


# --- undo -----------------------------------------------------------------------------------------


def test_an_undo_cannot_use_a_step_that_may_not_have_run() -> None:
    use = {"x": "${steps.beside.output.x}"}
    found = problems(a_step("beside"), a_step("a"), undone_by("b", use, "a"))
    assert found == [
        (
            "steps.b.compensate.input.x: ${steps.beside.output.x}: step 'beside' may not have run "
            "when 'b' is undone"
        )
    ]


def test_an_undo_cannot_use_a_step_that_comes_later() -> None:
    found = problems(undone_by("a", {"x": "${steps.b.output}"}), a_step("b", "a"))
    assert "step 'b' may not have run when 'a' is undone" in found[0]


# --- all at once, and at any size -----------------------------------------------------------------


def test_all_problems_are_named_at_once() -> None:
    found = problems(
        a_step("a", "b", "gone", queue="?"),
        a_step("b", "a"),
        undone_by("c", {"x": "${steps.gone.output}"}),
        a_step("c"),
        name="no name",
        output="${oops}",
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "name",
        "steps.c",
        "steps.a.queue",
        "steps.a.after[1]",
        "steps.c.compensate.input.x",
        "output",
        "steps.a",
    ]


def test_a_chain_of_a_thousand_steps_is_checked() -> None:
    workflow = a_workflow(*a_chain((f"s{number}" for number in range(MOST_STEPS)), undo=True))
    assert workflow.needs["s999"] == {"s998"}


def test_a_graph_in_which_each_step_needs_all_before_it_is_checked() -> None:
    names = [f"s{number}" for number in range(500)]
    use = {"x": "${steps.s0.output}"}
    workflow = a_workflow(*(undone_by(name, use, *names[:at]) for at, name in enumerate(names)))
    assert len(workflow.needs["s499"]) == 499


def test_a_step_more_than_the_most_is_refused() -> None:
    names = (f"s{number}" for number in range(MOST_STEPS + 1))
    assert problems(*a_chain(names)) == ["steps: 1001 steps are too many: use 1000 at most"]


def test_the_problems_of_a_huge_workflow_stay_small() -> None:
    unknown = tuple(f"gone{number}" for number in range(1000))
    names = (f"s{number}" for number in range(1000))
    found = problems(a_step("a", *unknown), *(a_step(name) for name in names))
    assert max(len(problem) for problem in found) < 300
