"""Workflows written in Python, run by a worker in this process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest
import yaml

from cueline.app import App, TaskFailed, TaskHandle
from cueline.domain.errors import InvalidDefinition, InvalidInput
from cueline.domain.retry import NO_RETRY, RetryPolicy
from cueline.domain.workflow.compensation import Compensation
from cueline.domain.workflow.document import parse_workflow, same_workflow
from cueline.workflow_builder import StepHandle, WorkflowBuilder
from tests.unit.facade.serving import PATIENCE, a_task_of, serving

DOCUMENT = """
    name: order
    version: 2
    steps:
      reserve:
        task: reserve
        input: {order: "${input.order_id}", lines: ["${input.lines[0]}", {note: "costs $${5}"}]}
        compensate:
          task: unreserve
          input: {output: "${steps.reserve.output}"}
      charge:
        task: charge
        input: {amount: "${steps.reserve.output.total}", at: "2026-01-02T00:00:00Z"}
        compensate:
          task: refund
          input: {payment: '${steps.charge.output["payment id"]}'}
        retry: {attempts: 5}
        timeout: 30s
        priority: high
      mail:
        task: mail
        input: {queue: express}
        after: [charge]
        queue: mail
    output: {payment: "${steps.charge.output}"}
"""


def tasks_of_orders(app: App) -> None:
    app.task(name="reserve")(lambda order, lines: {"total": 12})
    app.task(name="charge")(lambda amount, at: {"payment id": amount})
    app.task(name="mail")(lambda queue: queue)
    app.task(name="refund")(lambda payment: payment)


def the_order(app: App) -> WorkflowBuilder:
    tasks_of_orders(app)

    @app.task
    def unreserve(output: Any) -> None: ...

    @app.task
    def refund_of(payment: Any) -> None: ...

    order = app.workflow("order", version=2)
    reserve = order.step(
        "reserve",
        "reserve",
        order=order.input.order_id,
        lines=(order.input["lines"][0], {"note": "costs ${5}"}),
        compensate=unreserve,
    )
    charge = order.step(
        "charge",
        "charge",
        amount=reserve.output.total,
        at=datetime(2026, 1, 2, tzinfo=UTC),
        retry=RetryPolicy(attempts=5),
        timeout="30s",
        priority="high",
        compensate=lambda step: refund_of.call(payment=step.output["payment id"]),
    )
    order.step("mail", "mail", inputs={"queue": "express"}, after=[charge], queue="mail")
    order.returns({"payment": charge.output})
    return order


def test_a_workflow_written_in_python_equals_its_document(app: App) -> None:
    document = yaml.safe_load(dedent(DOCUMENT).replace("task: refund", "task: refund_of"))
    assert same_workflow(the_order(app).definition(), parse_workflow(document))
    assert app.workflows == (parse_workflow(document),)


async def test_a_workflow_runs_to_its_output(app: App) -> None:
    @app.task
    async def double(number: int) -> int:
        return 2 * number

    @app.task
    async def describe(values: dict[str, Any]) -> dict[str, Any]:
        return values

    flow = app.workflow("flow")
    doubled = flow.step("double", double, number=flow.input.number)
    described = flow.step(
        "describe", describe, values={"all": [{"one": doubled.output}], "text": "a ${literal}"}
    )
    flow.returns({"values": described.output, "text": "$${ ${"})
    async with serving(app):
        run = await flow.start({"number": 4}, key="run-4")
        assert await run.result(PATIENCE) == {
            "values": {"all": [{"one": 8}], "text": "a ${literal}"},
            "text": "$${ ${",
        }
        again = await flow.start({"number": 4}, key="run-4")
    assert (run.created, again.created, again.id) == (True, False, run.id)


async def test_a_run_that_fails_is_undone_and_raises(app: App) -> None:
    undone: list[Any] = []

    @app.task
    async def reserve(order: int) -> dict[str, int]:
        return {"reservation": order + 1}

    @app.task
    async def unreserve(input: dict[str, Any], output: dict[str, Any]) -> None:
        undone.append((input, output))

    @app.task(retry=NO_RETRY)
    async def charge() -> None:
        raise ValueError("no money")

    flow = app.workflow("flow")
    first = flow.step("reserve", reserve, order=flow.input.order, compensate=unreserve)
    flow.step("charge", charge, after=[first])
    async with serving(app):
        run = await flow.start({"order": 7})
        with pytest.raises(TaskFailed) as caught:
            await run.result(PATIENCE)
    assert undone == [({"order": 7}, {"reservation": 8})]
    assert caught.value.id == run.id
    assert caught.value.state == "compensated"


async def test_an_input_without_a_form_in_json_starts_no_run(app: App) -> None:
    flow = app.workflow("flow")
    flow.step("send", a_task_of(app), order_id=7)
    async with app:
        with pytest.raises(InvalidInput, match="the run cannot be started so"):
            await flow.start({"order": object()})


def _undo(app: App, form: Callable[[TaskHandle[..., Any]], Any], **parameters: Any) -> Any:
    send = a_task_of(app)
    flow = app.workflow("flow")
    undo = app.task(name="undo")(parameters["handler"])
    flow.step("send", send, order_id=flow.input, compensate=form(undo))
    return flow.definition().steps[0].compensate


@pytest.mark.parametrize(
    ("handler", "given"),
    [
        (lambda: None, {}),
        (lambda input: None, {"input": {"order_id": "${input}"}}),
        (lambda output: None, {"output": "${steps.send.output}"}),
        (
            lambda ctx, output, input: None,
            {"input": {"order_id": "${input}"}, "output": "${steps.send.output}"},
        ),
    ],
)
def test_a_task_that_undoes_gets_as_much_as_it_takes(
    app: App, handler: Callable[..., Any], given: dict[str, Any]
) -> None:
    assert _undo(app, lambda undo: undo, handler=handler) == Compensation("undo", given)


def test_a_function_may_say_how_a_step_is_undone(app: App) -> None:
    def form(undo: TaskHandle[..., Any]) -> Any:
        def how(step: StepHandle) -> Any:
            return undo.call(id=step.output.id, step=step.name, note="${x}")

        return how

    undo = _undo(app, form, handler=lambda id, step, note: None)
    given = {"id": "${steps.send.output.id}", "step": "send", "note": "$${x}"}
    assert undo == Compensation("undo", given)


def test_a_value_says_where_it_will_come_from(app: App) -> None:
    flow = app.workflow("flow")
    assert repr(flow.input) == "${input}"
    assert repr(flow.input.order.lines[0]["odd key"]) == '${input.order.lines[0]["odd key"]}'
    assert repr(StepHandle("send").output.id) == "${steps.send.output.id}"


@pytest.mark.parametrize("use", [list, bool, set])
def test_a_value_that_is_looked_into_before_the_run_is_refused(
    app: App, use: Callable[[Any], Any]
) -> None:
    flow = app.workflow("flow")
    with pytest.raises(TypeError, match=r"\$\{input\.lines\} is not known before"):
        use(flow.input.lines)


def test_a_value_has_no_special_members(app: App) -> None:
    with pytest.raises(AttributeError):
        _ = app.workflow("flow").input.__length_hint__


def test_a_set_has_the_same_order_in_every_process(app: App) -> None:
    flow = app.workflow("flow")
    flow.step("send", "send", tags={"c", "a", "b"})
    assert flow.definition().steps[0].input == {"tags": ["a", "b", "c"]}


def test_a_workflow_that_could_not_run_is_refused(app: App) -> None:
    flow = app.workflow("flow")
    flow.step("send", "send", order=StepHandle("nowhere").output)
    with pytest.raises(InvalidDefinition, match="nowhere"):
        _ = app.workflows


@pytest.mark.parametrize(
    ("options", "path"), [({"priority": "urgent"}, "priority"), ({"timeout": "x"}, "timeout")]
)
def test_wrong_options_of_a_step_are_refused(app: App, options: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput, match=path):
        app.workflow("flow").step("send", "send", **options)
