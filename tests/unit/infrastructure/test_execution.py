"""Handlers: what their signatures say, how inputs are checked, and the threads they block."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, Field

from cueline.application.context import Context
from cueline.application.ports.runtime import Executor
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import InvalidInput, PermanentError
from cueline.domain.json import Json, JsonObject
from cueline.infrastructure.execution.checker import MOST_PROBLEMS, JsonSchemaChecker
from cueline.infrastructure.execution.executor import Handler, HandlerExecutor
from cueline.infrastructure.execution.signature import Signature, UnfitInput, encode_output
from cueline.infrastructure.execution.threads import HandlerThreads
from tests.factories import a_task
from tests.harness import NO_INTEGRATIONS

if TYPE_CHECKING:
    from fractions import Fraction

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PATIENCE = 10.0
"""How long anything may take, in seconds."""


class Order(BaseModel):
    id: int
    placed: datetime


@dataclasses.dataclass
class Item:
    name: str
    price: Decimal = Decimal(0)


# --- signatures -----------------------------------------------------------------------------------


def test_the_schema_has_a_member_for_each_parameter() -> None:
    def send(order: int, copies: int = 1, *, note: str | None = None) -> None: ...

    schema: Any = Signature(send).schema
    assert schema["type"] == "object"
    assert schema["required"] == ["order"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"order", "copies", "note"}
    assert schema["properties"]["order"]["type"] == "integer"
    assert schema["properties"]["copies"]["default"] == 1
    assert "title" not in schema


@pytest.mark.parametrize("named", ["ctx", "context"])
def test_a_first_parameter_named_as_the_context_is_not_part_of_the_input(named: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def send({named}, order): ...", scope)
    signature = Signature(scope["send"])
    assert signature.takes_context
    assert signature.names == {"order"}


def test_a_first_parameter_annotated_as_the_context_is_not_part_of_the_input() -> None:
    def send(anything: Context, order: int) -> None: ...

    assert Signature(send).takes_context
    assert Signature(send).names == {"order"}


def test_a_parameter_that_is_only_named_as_the_context_is_part_of_the_input() -> None:
    def send(ctx: int) -> None: ...

    assert not Signature(send).takes_context
    assert Signature(send).names == {"ctx"}


def test_a_handler_without_parameters_has_an_empty_input() -> None:
    def sweep() -> None: ...

    signature = Signature(sweep)
    assert signature.encode((), {}) == {}
    assert signature.decode({}) == {}
    with pytest.raises(UnfitInput):
        signature.decode({"order": 7})


def test_what_is_encoded_comes_back_in_the_types_of_the_parameters() -> None:
    def send(
        at: datetime, order: Order, items: list[Item], limit: Decimal = Decimal(5)
    ) -> None: ...

    signature = Signature(send)
    given = {"at": NOON, "order": Order(id=7, placed=NOON), "items": [Item("pen", Decimal("1.5"))]}
    encoded = signature.encode((), given)
    assert encoded == {
        "at": "2026-01-02T12:00:00Z",
        "order": {"id": 7, "placed": "2026-01-02T12:00:00Z"},
        "items": [{"name": "pen", "price": "1.5"}],
    }
    assert signature.decode(encoded) == {**given, "limit": Decimal(5)}


def test_positional_arguments_are_encoded_by_name() -> None:
    def send(order: int, note: str = "") -> None: ...

    assert Signature(send).encode((7, "now"), {}) == {"order": 7, "note": "now"}
    assert Signature(send).encode((7,), {}) == {"order": 7}


def test_further_keywords_are_members_beside_the_parameters() -> None:
    def send(ctx: Context, order: int, **more: Any) -> None: ...

    signature = Signature(send)
    assert signature.schema["additionalProperties"] is True
    encoded = signature.encode((7,), {"colour": "red", "at": NOON})
    assert encoded == {"order": 7, "colour": "red", "at": "2026-01-02T12:00:00Z"}
    assert signature.decode(encoded) == encoded
    assert signature.encode((7,), {}) == {"order": 7}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2), {}), ((), {"ordr": 7}), ((7,), {"order": 7})],
)
def test_a_call_that_does_not_fit_is_refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    def send(order: int) -> None: ...

    with pytest.raises(InvalidInput, match="send cannot be called so"):
        Signature(send).encode(args, kwargs)


def test_an_argument_without_a_form_in_json_is_refused() -> None:
    def send(order: Any) -> None: ...

    with pytest.raises(InvalidInput, match="cannot be submitted so"):
        Signature(send).encode((object(),), {})


def test_what_the_schema_cannot_say_is_checked_when_decoding() -> None:
    def send(order: Annotated[Decimal, Field(gt=0)]) -> None: ...

    with pytest.raises(UnfitInput, match="does not fit the handler: order: "):
        Signature(send).decode({"order": "-1"})
    assert issubclass(UnfitInput, PermanentError)


@pytest.mark.parametrize(
    "parameters", ["order, /", "*orders", "_order", "model_config", "ctx, order, /"]
)
def test_parameters_that_cannot_be_given_by_name_are_refused(parameters: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def send({parameters}): ...", scope)
    with pytest.raises(TypeError, match="cannot be given by name"):
        Signature(scope["send"])


def test_parameters_may_be_called_as_what_a_model_has() -> None:
    def send(copy: int, json: str, schema: bool) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signature = Signature(send)
    input = {"copy": 1, "json": "{}", "schema": True}
    assert signature.decode(signature.encode((), input)) == input


def test_an_annotation_imported_for_type_checking_only_is_explained() -> None:
    def send(part: Fraction) -> None: ...

    with pytest.raises(TypeError, match="must be imported for real"):
        Signature(send)


def test_an_annotation_without_a_schema_is_refused_with_the_handlers_name() -> None:
    def send(lock: HandlerThreads) -> None: ...

    with pytest.raises(TypeError, match="send: Unable to generate pydantic-core schema"):
        Signature(send)


# --- outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "encoded"),
    [
        (None, None),
        ({"at": NOON}, {"at": "2026-01-02T12:00:00Z"}),
        (Order(id=7, placed=NOON), {"id": 7, "placed": "2026-01-02T12:00:00Z"}),
        (Item("pen"), {"name": "pen", "price": "0"}),
        ((1, 2), [1, 2]),
    ],
)
def test_an_output_is_kept_as_json(output: Any, encoded: Any) -> None:
    assert encode_output(output) == encoded


@pytest.mark.parametrize("output", [object(), float("nan"), {"far": float("inf")}, "\ud800"])
def test_an_output_without_a_form_in_json_fails_for_good(output: Any) -> None:
    with pytest.raises(PermanentError, match="cannot be kept as JSON"):
        encode_output(output)


# --- the checker ----------------------------------------------------------------------------------


def a_definition(handler: Callable[..., Any]) -> TaskDefinition:
    return TaskDefinition("send", Signature(handler).schema)


def check(handler: Callable[..., Any], input: JsonObject) -> dict[str, str]:
    problems = JsonSchemaChecker().check(a_definition(handler), input)
    return {problem.path: problem.message for problem in problems}


def test_an_input_that_fits_has_no_problems() -> None:
    def send(order: int, at: datetime) -> None: ...

    assert check(send, {"order": 7, "at": "2026-01-02T12:00:00Z"}) == {}


def test_problems_are_found_at_their_paths() -> None:
    def send(orders: list[Order], count: int) -> None: ...

    placed = "2026-01-02T12:00:00Z"
    orders: list[Json] = [{"id": 1, "placed": placed}, {"id": "x", "placed": placed}]
    problems = check(send, {"orders": orders, "count": "two"})
    assert set(problems) == {"input.orders[1].id", "input.count"}
    assert "integer" in problems["input.count"]


def test_missing_and_unknown_members_are_named() -> None:
    def send(order: int) -> None: ...

    assert '"order" is a required property' in check(send, {})["input"]
    assert "'ordr'" in check(send, {"order": 1, "ordr": 1})["input"]


def test_formats_are_checked() -> None:
    def send(at: datetime) -> None: ...

    assert "date-time" in check(send, {"at": "at noon"})["input.at"]


def test_only_so_many_problems_are_listed() -> None:
    def send(numbers: list[int]) -> None: ...

    assert len(check(send, {"numbers": ["x"] * 100})) == MOST_PROBLEMS


def test_a_validator_is_kept_until_its_definition_changes() -> None:
    checker = JsonSchemaChecker()
    strict = TaskDefinition("send", {"required": ["order"]})
    relaxed = TaskDefinition("send", {})
    assert checker.check(strict, {})
    kept = checker._validator(strict)
    assert checker._validator(strict) is kept
    assert not checker.check(relaxed, {})
    assert checker.check(strict, {})


# --- threads --------------------------------------------------------------------------------------


@pytest.fixture
async def threads() -> AsyncIterator[HandlerThreads]:
    threads = HandlerThreads()
    yield threads
    threads.close()


async def test_calls_run_beside_one_another(threads: HandlerThreads) -> None:
    together = threading.Barrier(8, timeout=PATIENCE)  # breaks unless all eight run at once
    arrived = await asyncio.gather(*(threads.run(together.wait) for _ in range(8)))
    assert sorted(arrived) == list(range(8))


async def test_threads_are_kept_for_the_next_call(threads: HandlerThreads) -> None:
    async def names() -> set[str]:
        together = threading.Barrier(2, timeout=PATIENCE)

        def name() -> str:
            together.wait()
            return threading.current_thread().name

        return set(await asyncio.gather(threads.run(name), threads.run(name)))

    seen = set[str]()
    for _ in range(20):
        seen |= await names()
    # A thread counts as idle a moment after its answer, so a few more than two may be made.
    assert len(seen) < 20


async def test_an_exception_reaches_the_caller(threads: HandlerThreads) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await threads.run(fail)


async def test_a_stop_iteration_reaches_the_caller_in_other_words(threads: HandlerThreads) -> None:
    def fail() -> Any:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="the handler raised StopIteration"):
        await threads.run(fail)


async def test_a_call_sees_the_context_variables_of_its_caller(threads: HandlerThreads) -> None:
    variable = ContextVar("variable", default="")
    variable.set("of the caller")
    assert await threads.run(variable.get) == "of the caller"


async def test_a_cancelled_caller_leaves_and_the_call_goes_on_unheard(
    threads: HandlerThreads,
) -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(PATIENCE)
        done.set()

    caller = asyncio.create_task(threads.run(work))
    await asyncio.to_thread(begun.wait, PATIENCE)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    assert await asyncio.to_thread(done.wait, PATIENCE)
    assert await threads.run(lambda: 7) == 7


async def test_closing_ends_the_idle_threads() -> None:
    threads = HandlerThreads()
    thread = await threads.run(threading.current_thread)
    threads.close()
    await asyncio.to_thread(thread.join, PATIENCE)
    assert not thread.is_alive()


def test_a_call_that_outlives_its_loop_is_forgotten() -> None:
    threads = HandlerThreads()
    begun, go = threading.Event(), threading.Event()
    running: list[threading.Thread] = []

    def work() -> None:
        running.append(threading.current_thread())
        begun.set()
        go.wait(PATIENCE)

    async def leave() -> None:
        task = asyncio.create_task(threads.run(work))
        await asyncio.to_thread(begun.wait, PATIENCE)
        task.cancel()

    asyncio.run(leave())
    threads.close()
    go.set()
    running[0].join(PATIENCE)
    assert not running[0].is_alive()


def test_a_thread_that_never_ends_does_not_hold_up_the_process() -> None:
    script = """
import asyncio, threading
from cueline.infrastructure.execution.threads import HandlerThreads

async def main():
    begun = threading.Event()
    def never():
        begun.set()
        threading.Event().wait()
    threads = HandlerThreads()
    task = asyncio.create_task(threads.run(never))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    threads.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=PATIENCE, check=False)
    assert done.returncode == 0


# --- the executor ---------------------------------------------------------------------------------


async def execute(function: Callable[..., Any], input: JsonObject) -> Any:
    executor: Executor = HandlerExecutor({"send": Handler.of(function)})
    task = a_task(input=input)
    await executor.open()
    try:
        return await executor.execute(task, Context.of(task, NO_INTEGRATIONS, lambda _: None))
    finally:
        await executor.close()


async def test_an_async_handler_runs_on_the_loop() -> None:
    async def send(ctx: Context, order: int) -> Any:
        return [ctx.name, order, threading.current_thread() is threading.main_thread()]

    assert await execute(send, {"order": 7}) == ["send", 7, True]


async def test_a_plain_handler_runs_in_a_thread() -> None:
    def send(order: int) -> Any:
        return [order, threading.current_thread() is threading.main_thread()]

    assert await execute(send, {"order": 7}) == [7, False]


async def test_a_task_without_a_handler_fails_for_good() -> None:
    executor = HandlerExecutor({})
    task = a_task(name="send")
    with pytest.raises(PermanentError, match="no handler for task 'send'"):
        await executor.execute(task, Context.of(task, NO_INTEGRATIONS, lambda _: None))
