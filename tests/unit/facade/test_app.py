"""What users write: handlers, submissions and workflows, run by a worker in this process."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cueline.app import App, TaskFailed, TaskHandle
from cueline.application.context import Context
from cueline.domain.errors import CuelineError, InvalidInput, KeyReused
from cueline.domain.retry import NO_RETRY, RetryPolicy
from cueline.domain.task import Priority, Task
from cueline.settings import Settings
from tests.unit.facade.serving import PATIENCE, a_task_of, serving


async def stored(app: App, id: Any) -> Task:
    return (await app.connection.call(lambda application: application.queries.task(id))).task


# --- registering ----------------------------------------------------------------------------------


def test_a_task_is_named_after_its_function(app: App) -> None:
    send = a_task_of(app)
    assert send.name == "send"
    assert send.parameters == {"order_id", "note"}
    assert send.function(order_id=7) == {"sent": 7, "note": ""}
    [definition] = app.definitions
    assert (definition.name, definition.description) == ("send", "Send an order.")
    assert set(app.handlers) == {"send"}


def test_a_task_may_be_registered_without_parentheses(app: App) -> None:
    @app.task
    def sweep() -> None: ...

    assert sweep.name == "sweep"


def test_a_tasks_options_become_its_defaults(app: App) -> None:
    retry = RetryPolicy(attempts=2)
    send = a_task_of(
        app, name="mail.send", queue="mail", priority="high", retry=retry, timeout="1m30s"
    )
    assert send.name == "mail.send"
    [definition] = app.definitions
    assert definition.queue == "mail"
    assert definition.priority is Priority.HIGH
    assert definition.retry == retry
    assert definition.timeout == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"name": "two words"}, "name"),
        ({"queue": "two words"}, "queue"),
        ({"priority": "urgent"}, "priority"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_wrong_options_are_refused_by_name(app: App, options: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        a_task_of(app, **options)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert app.definitions == ()


def test_a_second_task_of_the_same_name_is_refused(app: App) -> None:
    a_task_of(app)
    with pytest.raises(InvalidInput, match="the task is there already: name: 'send'"):
        a_task_of(app)


def test_a_second_workflow_of_the_same_name_and_version_is_refused(app: App) -> None:
    app.workflow("order")
    app.workflow("order", version=2)
    with pytest.raises(InvalidInput, match="the workflow is there already"):
        app.workflow("order")


def test_an_application_needs_a_usable_name() -> None:
    with pytest.raises(InvalidInput):
        App("two words")


# --- handlers -------------------------------------------------------------------------------------


def _forms(app: App) -> dict[str, TaskHandle[..., Any]]:
    @app.task
    def plain(order_id: int) -> str:
        return f"plain {order_id}"

    @app.task
    def plain_in_context(ctx: Context, order_id: int) -> str:
        return f"{ctx.name} {order_id}"

    @app.task
    async def coroutine(order_id: int) -> str:
        return f"coroutine {order_id}"

    @app.task
    async def coroutine_in_context(ctx: Context, order_id: int) -> str:
        return f"{ctx.name} {order_id}"

    handles = (plain, plain_in_context, coroutine, coroutine_in_context)
    return {handle.name: handle for handle in handles}


async def test_every_form_of_handler_runs_and_its_result_comes_back(app: App) -> None:
    handles = _forms(app)
    async with serving(app):
        for name, handle in handles.items():
            ref = await handle.submit(order_id=7)
            assert ref.created
            assert await ref.result(PATIENCE) == f"{name} 7"


async def test_a_handler_gets_its_arguments_in_their_types(app: App) -> None:
    @app.task
    async def kind(at: datetime) -> str:
        return f"{type(at).__name__} {at.year}"

    async with serving(app):
        ref = await kind.submit(datetime(2026, 1, 2, tzinfo=UTC))
        assert await ref.result(PATIENCE) == "datetime 2026"


async def test_a_task_that_fails_raises_where_its_result_is_awaited(app: App) -> None:
    @app.task(retry=NO_RETRY)
    async def fail() -> None:
        raise ValueError("no stock")

    async with serving(app):
        ref = await fail.submit()
        with pytest.raises(TaskFailed, match="ended as failed: ValueError: no stock") as caught:
            await ref.result(PATIENCE)
    assert caught.value.id == ref.id
    assert caught.value.state == "failed"


async def test_a_result_that_takes_too_long_raises_a_timeout_and_comes_later(app: App) -> None:
    go = asyncio.Event()

    @app.task
    async def wait() -> str:
        await go.wait()
        return "done"

    async with serving(app):
        ref = await wait.submit()
        with pytest.raises(TimeoutError):
            await ref.result(0.01)
        go.set()
        assert await ref.result("10s") == "done"


async def test_a_result_is_looked_for_when_no_event_comes(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cueline.connection.LOOK_INTERVAL", 0.001)
    looks = 0
    go = asyncio.Event()

    @app.task
    async def wait() -> str:
        await go.wait()
        return "done"

    async with serving(app):
        ref = await wait.submit()
        application = app.connection._the_application()
        look = application.queries.task

        async def count(id: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks == 3:
                go.set()
            return await look(id)

        monkeypatch.setattr(application.queries, "task", count)
        assert await ref.result(PATIENCE) == "done"
    assert looks >= 3


# --- submitting -----------------------------------------------------------------------------------


async def test_options_go_with_one_submission_only(app: App) -> None:
    send = a_task_of(app, queue="mail", priority="low")
    async with app:
        special = send.with_options(
            queue="express",
            priority="critical",
            delay="1h",
            retry=NO_RETRY,
            timeout=5,
            key="order-7",
            tags=["blue"],
        ).with_options(tags=["red"])
        task = await stored(app, (await special.submit(order_id=7)).id)
        usual = await stored(app, (await send.submit(order_id=7)).id)
    assert (task.spec.queue, task.spec.priority) == ("express", Priority.CRITICAL)
    assert task.run_at - task.spec.created_at == timedelta(hours=1)
    assert task.spec.retry == NO_RETRY
    assert task.spec.timeout == timedelta(seconds=5)
    assert (task.spec.key, task.spec.tags) == ("order-7", ("red",))
    assert (usual.spec.queue, usual.spec.priority) == ("mail", Priority.LOW)
    assert (usual.spec.key, usual.spec.tags) == (None, ())


async def test_a_task_may_be_asked_for_at_a_time(app: App) -> None:
    send = a_task_of(app)
    at = datetime(2999, 1, 1, tzinfo=UTC)
    async with app:
        ref = await send.with_options(run_at=at).submit(order_id=7)
        assert (await stored(app, ref.id)).run_at == at


async def test_many_are_submitted_together_in_order(app: App) -> None:
    send = a_task_of(app)
    async with serving(app):
        refs = await send.submit_many({"order_id": number} for number in range(3))
        outputs: list[Any] = [await ref.result(PATIENCE) for ref in refs]
    assert [output["sent"] for output in outputs] == [0, 1, 2]


async def test_of_many_none_is_stored_if_one_does_not_fit(app: App) -> None:
    send = a_task_of(app)
    async with app:
        with pytest.raises(InvalidInput, match=r"\[1\]\.input\.order_id"):
            await send.submit_many([{"order_id": 1}, {"order_id": "two"}])
        first = await send.with_options(key="only").submit(order_id=1)
        assert first.created


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((), {"order": 7}), ((1, "", 3), {}), (("seven",), {}), ((object(),), {})],
)
async def test_a_wrong_call_is_refused_before_anything_is_stored(
    app: App, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    send = a_task_of(app)
    async with app:
        with pytest.raises(InvalidInput):
            await send.submit(*args, **kwargs)


@pytest.mark.parametrize(
    "options", [{"priority": "urgent"}, {"delay": "soon"}, {"timeout": -1}], ids=str
)
def test_wrong_options_of_a_submission_are_refused(app: App, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        a_task_of(app).with_options(**options)


async def test_a_repeated_key_answers_the_first_task(app: App) -> None:
    send = a_task_of(app).with_options(key="order-7")
    async with app:
        first, again = await send.submit(order_id=7), await send.submit(order_id=7)
        assert (first.created, again.created) == (True, False)
        assert first.id == again.id
        with pytest.raises(KeyReused):
            await send.submit(order_id=8)


async def test_first_calls_at_the_same_moment_share_one_connection(app: App) -> None:
    send = a_task_of(app)
    try:
        refs = await asyncio.gather(*(send.submit(order_id=number) for number in range(5)))
        for ref in refs:
            await stored(app, ref.id)
    finally:
        await app.connection.close()


async def test_a_connection_that_was_closed_opens_again(app: App) -> None:
    send = a_task_of(app)
    for _ in range(2):
        async with app:
            assert (await send.submit(order_id=7)).created


# --- without a loop -------------------------------------------------------------------------------


def test_a_script_submits_without_a_loop(app: App) -> None:
    send = a_task_of(app).with_options(key="order-7")
    try:
        assert send.submit_sync(order_id=7).created
        assert not send.submit_sync(order_id=7).created
        # A loop that starts later reaches the same connection, which lives on another thread.
        assert not asyncio.run(send.submit(order_id=7)).created
    finally:
        _end(app)


def _end(app: App) -> None:
    """Close the connection that lives on a thread, and its loop."""
    loop = app.connection._the_loop()
    [thread] = [each for each in threading.enumerate() if each.name == "cueline"]
    asyncio.run_coroutine_threadsafe(app.connection.close(), loop).result(PATIENCE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


async def test_a_thread_submits_while_the_loop_runs(app: App) -> None:
    send = a_task_of(app)
    async with serving(app):
        ref = await asyncio.to_thread(send.submit_sync, order_id=7)
        assert await ref.result(PATIENCE) == {"sent": 7, "note": ""}


async def test_a_plain_handler_submits_a_further_task(app: App) -> None:
    send = a_task_of(app)

    @app.task
    def order(order_id: int) -> str:
        return str(send.submit_sync(order_id=order_id).id)

    async with serving(app):
        further = await (await order.submit(7)).result(PATIENCE)
        assert (await stored(app, further)).spec.input == {"order_id": 7}


async def test_waiting_on_the_loop_itself_is_refused(app: App) -> None:
    send = a_task_of(app)
    async with app:
        with pytest.raises(CuelineError, match=r"there is an event loop here: use `await"):
            send.submit_sync(order_id=7)


async def test_settings_come_from_the_environment_unless_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUELINE_STORE", "memory://")
    app = App("shop")
    send = a_task_of(app)
    assert Settings().store_kind == "memory"
    async with app:
        assert (await send.submit(order_id=7)).created
