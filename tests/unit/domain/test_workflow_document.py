"""Workflows as data: reading them, writing them, and saying what is wrong with them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cueline.domain.duration import LONGEST
from cueline.domain.errors import InvalidDefinition, InvalidInput
from cueline.domain.json import Json
from cueline.domain.retry import Backoff, RetryPolicy, exponential
from cueline.domain.task import Priority
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.document import (
    parse_duration,
    parse_priority,
    parse_retry,
    parse_workflow,
    retry_document,
    workflow_document,
)
from tests.unit.domain.factories import a_step, a_workflow, modest

ORDER = """
name: order
version: 1
steps:
  reserve: {task: reserve, input: {order: "${input.order}"},
            compensate: {task: unreserve, input: {order: "${input.order}"}}}
  charge:
    task: charge
    after: [reserve]
    input: {order: "${input.order}", reservation: "${steps.reserve.output.reservation}"}
    retry: {attempts: 5, backoff: exponential, first: 1s}
    compensate: {task: refund, input: {order: "${input.order}"}}
"""


def problems(document: Json) -> list[str]:
    with pytest.raises(InvalidDefinition) as refused:
        parse_workflow(document)
    return [str(problem) for problem in refused.value.problems]


def problems_of_step(**fields: Any) -> list[str]:
    return problems({"name": "w", "steps": {"a": {"task": "t", **fields}}})


def problems_of_retry(policy: Json) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        parse_retry(policy, "retry")
    return [str(problem) for problem in refused.value.problems]


# --- reading --------------------------------------------------------------------------------------


def test_the_example_of_the_design_is_read() -> None:
    order = {"order": "${input.order}"}
    assert parse_workflow(yaml.safe_load(ORDER)) == Workflow(
        name="order",
        version=1,
        steps=(
            Step("reserve", "reserve", order, compensate=Compensation("unreserve", order)),
            Step(
                "charge",
                "charge",
                {**order, "reservation": "${steps.reserve.output.reservation}"},
                after=("reserve",),
                retry=exponential(attempts=5, first="1s"),
                compensate=Compensation("refund", order),
            ),
        ),
    )


def test_what_is_left_out_has_its_standard_value() -> None:
    workflow = parse_workflow({"name": "w", "steps": {"a": {"task": "t"}}})
    assert workflow == Workflow("w", 1, (Step("a", "t"),))


def test_a_step_can_say_all_that_a_step_can_have() -> None:
    document: Json = {
        "name": "w",
        "version": 3,
        "output": "${steps.a.output}",
        "steps": {
            "a": {
                "task": "t",
                "input": {"x": 1},
                "queue": "email",
                "priority": "high",
                "timeout": "1m30s",
                "retry": {"attempts": 2, "permanent": ["ValueError"]},
                "compensate": {
                    "task": "undo",
                    "input": {"y": "${steps.a.output}"},
                    "timeout": 5,
                    "retry": {"backoff": "fixed"},
                },
            }
        },
    }
    undo = Compensation(
        "undo",
        {"y": "${steps.a.output}"},
        RetryPolicy(backoff=Backoff.FIXED),
        timedelta(seconds=5),
    )
    retry = RetryPolicy(attempts=2, permanent=frozenset({"ValueError"}))
    step = Step("a", "t", {"x": 1}, (), undo, "email", Priority.HIGH, retry, timedelta(seconds=90))
    assert parse_workflow(document) == Workflow("w", 3, (step,), "${steps.a.output}")


def test_null_is_as_good_as_left_out_for_what_may_be_left_out() -> None:
    fields = ("compensate", "queue", "priority", "retry", "timeout")
    document: Json = {"name": "w", "steps": {"a": {"task": "t", **dict.fromkeys(fields)}}}
    assert parse_workflow(document) == Workflow("w", 1, (Step("a", "t"),))


# --- writing --------------------------------------------------------------------------------------


def test_what_is_standard_is_not_written() -> None:
    document = {"name": "order", "version": 1, "steps": {"a": {"task": "a", "input": {}}}}
    assert workflow_document(a_workflow(a_step("a"))) == document


def test_a_retry_policy_is_written_complete() -> None:
    assert retry_document(exponential(attempts=5, first="500ms", permanent=["B", "A"])) == {
        "attempts": 5,
        "backoff": "exponential",
        "first": "500ms",
        "factor": 2.0,
        "cap": "1h",
        "jitter": 0.0,
        "permanent": ["A", "B"],
    }


# --- reading what was written ---------------------------------------------------------------------

names = st.text("aZ09_.-", max_size=4).map("n".__add__)
step_names = st.text("aZ09_", max_size=4).map("_".__add__)
durations = st.timedeltas(timedelta(0), LONGEST)
timeouts = st.none() | st.timedeltas(timedelta(microseconds=1), LONGEST)
policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 1000),
    backoff=st.sampled_from(Backoff),
    first=durations,
    factor=st.floats(1, 100),
    cap=durations,
    jitter=st.floats(0, 1),
    permanent=st.frozensets(names, max_size=3),
)
retries = st.none() | policies
keys = st.sampled_from(["", "a", "odd key", "${input}", "å"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=6)
    | st.sampled_from(["${input}", "${input.x[0]}", 'a ${input["odd key"]} b', "$${literal}"])
)
templates: st.SearchStrategy[Json] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=3,
)
inputs: st.SearchStrategy[dict[str, Json]] = st.dictionaries(keys, templates, max_size=2)
limits: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"retry": retries, "timeout": timeouts}
)
options: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "queue": st.none() | names,
        "priority": st.none() | st.sampled_from(Priority),
        "retry": retries,
        "timeout": timeouts,
    }
)
several = st.lists(st.integers(0, 3), max_size=3)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Sound workflows in which each step may wait for any of those before it."""
    found = draw(st.lists(step_names, min_size=1, max_size=4, unique=True))
    steps = []
    for at, name in enumerate(found):
        earlier = found[:at]
        input = draw(inputs)
        for index in draw(several):
            input |= {f"from {step}": f"${{steps.{step}.output}}" for step in earlier[index:][:1]}
        after = tuple(step for index in draw(several) for step in earlier[index:][:1])
        undo = None
        if draw(st.booleans()):
            undo_input = {**draw(inputs), "own": f"${{steps.{name}.output.x}}"}
            undo = Compensation(draw(names), undo_input, **draw(limits))
        steps.append(Step(name, draw(names), input, after, undo, **draw(options)))
    version, output = draw(st.integers(1, 2**31 - 1)), draw(templates)
    return Workflow(draw(names), version, tuple(draw(st.permutations(steps))), output)


@settings(modest, max_examples=50)
@given(workflows())
def test_a_workflow_that_is_written_reads_back_equal(workflow: Workflow) -> None:
    document = workflow_document(workflow)
    assert parse_workflow(document) == workflow
    assert parse_workflow(orjson.loads(orjson.dumps(document))) == workflow
    assert workflow_document(parse_workflow(document)) == document


@modest
@given(policies)
def test_a_retry_policy_that_is_written_reads_back_equal(policy: RetryPolicy) -> None:
    assert parse_retry(retry_document(policy), "retry") == policy


@pytest.mark.parametrize("priority", Priority)
def test_a_priority_is_read_by_its_name(priority: Priority) -> None:
    assert parse_priority(priority.label, "priority") is priority


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [None, [], "order", 7, True], ids=repr)
def test_a_workflow_is_an_object(document: Json) -> None:
    assert "workflow: must be an object" in problems(document)


def test_a_workflow_needs_a_name_and_steps() -> None:
    assert problems({}) == ["name: must be a text"]
    assert problems({"name": "w"}) == ["steps: a workflow needs at least one step"]
    assert problems({"name": "w", "steps": ["a"]}) == ["steps: must be an object"]
    assert problems({"name": "w", "steps": None}) == ["steps: must be an object"]
    assert problems({"name": "w", "steps": {"a": "t"}}) == [
        "steps.a: must be an object",
        "steps.a.task: must be a text",
    ]


@pytest.mark.parametrize("version", ["1", 1.0, True, None, [1]], ids=repr)
def test_a_version_is_a_whole_number(version: Json) -> None:
    document: Json = {"name": "w", "version": version, "steps": {"a": {"task": "t"}}}
    assert problems(document) == ["version: must be a whole number"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"task": 7}, "steps.a.task: must be a text"),
        ({"input": []}, "steps.a.input: must be an object"),
        ({"input": None}, "steps.a.input: must be an object"),
        ({"after": "reserve"}, "steps.a.after: must be an array of texts"),
        ({"after": [1]}, "steps.a.after: must be an array of texts"),
        ({"queue": 7}, "steps.a.queue: must be a text"),
        ({"priority": 1}, "steps.a.priority: 1 is none of: critical, high, normal, low"),
        ({"priority": "urgent"}, "steps.a.priority: 'urgent' is none of: critical, high,"),
        ({"timeout": "soon"}, "steps.a.timeout: 'soon' is not a duration"),
        ({"timeout": True}, "steps.a.timeout: True is not a duration"),
        ({"timeout": []}, "steps.a.timeout: must be like 30s, or seconds"),
        ({"timeout": 0}, "steps.a.timeout: use more than zero"),
        ({"retry": 3}, "steps.a.retry: must be an object"),
        ({"retry": {"attempts": "3"}}, "steps.a.retry.attempts: must be a whole number"),
        ({"retry": {"attempts": 0}}, "steps.a.retry.attempts: use 1 to 1000"),
        ({"retry": {"backoff": "random"}}, "steps.a.retry.backoff: must be one of: fixed, "),
        ({"retry": {"backoff": ["fixed"]}}, "steps.a.retry.backoff: must be one of: fixed, "),
        ({"retry": {"first": -1}}, "steps.a.retry.first: -1 is out of range"),
        ({"retry": {"cap": "x"}}, "steps.a.retry.cap: 'x' is not a duration"),
        ({"retry": {"factor": "2"}}, "steps.a.retry.factor: must be a number"),
        ({"retry": {"factor": 0}}, "steps.a.retry.factor: use 1 to 100"),
        ({"retry": {"jitter": 2}}, "steps.a.retry.jitter: use a share from 0 to 1"),
        ({"retry": {"permanent": "E"}}, "steps.a.retry.permanent: must be an array of texts"),
        ({"retry": {"tries": 3}}, "steps.a.retry.tries: there is no such field; the fields are:"),
        ({"compensate": "undo"}, "steps.a.compensate: must be an object"),
        ({"compensate": {}}, "steps.a.compensate.task: must be a text"),
        ({"compensate": {"task": "u", "input": 1}}, "steps.a.compensate.input: must be an object"),
        (
            {"compensate": {"task": "u", "retry": {"jitter": -1}}},
            "steps.a.compensate.retry.jitter: use a share from 0 to 1",
        ),
        (
            {"compensate": {"task": "u", "timeout": "x"}},
            "steps.a.compensate.timeout: 'x' is not a duration",
        ),
        (
            {"compensate": {"task": "u", "queue": "q"}},
            "steps.a.compensate.queue: there is no such field; the fields are: input, retry,",
        ),
        ({"when": "${input.x}"}, "steps.a.when: there is no such field; the fields are: after,"),
        ({"input": {"x": "${oops}"}}, "steps.a.input: x: ${oops} is not an expression"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_step_is_said_with_its_path(
    fields: dict[str, Json], problem: str
) -> None:
    assert [found[: len(problem)] for found in problems_of_step(**fields)][:1] == [problem]


def test_unknown_fields_are_named_with_those_that_there_are() -> None:
    document: Json = {"name": "w", "steps": {"a": {"task": "t"}}, "tasks": {}, "owner": "me"}
    known = "there is no such field; the fields are: name, output, steps, version"
    assert problems(document) == [f"tasks: {known}", f"owner: {known}"]


def test_all_that_cannot_be_read_is_named_at_once() -> None:
    document: Json = {
        "version": "1",
        "steps": {
            "a": {"task": 1, "retry": {"attempts": "x", "factor": "y"}},
            "b": {"task": "t", "compensate": {"timeout": "z"}, "timeout": "z"},
        },
        "extra": 1,
    }
    assert [problem.split(":")[0] for problem in problems(document)] == [
        "extra",
        "name",
        "version",
        "steps.a.task",
        "steps.a.retry.attempts",
        "steps.a.retry.factor",
        "steps.b.compensate.task",
        "steps.b.compensate.timeout",
        "steps.b.timeout",
    ]


def test_a_document_that_is_not_json_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_workflow(yaml.safe_load("{name: w, steps: {1: {task: t}}}"))
    assert [problem.path for problem in refused.value.problems] == ["workflow.steps"]
    with pytest.raises(InvalidInput):
        parse_workflow(yaml.safe_load("{name: w, steps: {a: {task: t, input: {on: 2026-01-01}}}}"))


def test_a_retry_policy_that_cannot_be_read_is_refused_with_every_problem() -> None:
    assert problems_of_retry({"attempts": 0, "jitter": 2}) == [
        "retry.attempts: use 1 to 1000",
        "retry.jitter: use a share from 0 to 1",
    ]
    assert problems_of_retry([]) == ["retry: must be an object"]


def test_a_duration_of_a_document_is_a_text_or_a_number() -> None:
    assert parse_duration("1m", "delay") == parse_duration(60, "delay") == timedelta(minutes=1)
    with pytest.raises(InvalidInput) as refused:
        parse_duration({}, "delay")
    assert refused.value.problems[0].path == "delay"


fields_of_a_workflow = st.sampled_from(
    [
        *("name", "version", "steps", "output", "task", "input", "after", "compensate", "queue"),
        *("priority", "retry", "timeout", "attempts", "backoff", "first", "a", "b"),
    ]
)
odd_values = st.sampled_from(
    [None, True, 0, 1, -1.5, "", "a", "b", "fixed", "high", "1s", "${input}", "${steps.a.output}"]
)
odd_documents = st.recursive(
    odd_values,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(fields_of_a_workflow, inner, max_size=5)
    ),
    max_leaves=20,
)


@modest
@given(odd_documents, st.dictionaries(st.sampled_from("ab"), odd_documents))
def test_any_document_is_read_or_refused_and_nothing_else(
    document: Json, steps: dict[str, Json]
) -> None:
    with suppress(InvalidDefinition):
        parse_workflow(document)
    with suppress(InvalidDefinition):
        parse_workflow({"name": "w", "steps": steps})
