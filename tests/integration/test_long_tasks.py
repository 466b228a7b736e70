"""A task that outlasts every timeout of its broker is run once: the message was gone at the claim.

The brokers deliver again after a fraction of the time that the task takes, and RabbitMQ cuts off a
consumer that holds a message for so long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.exceptions import ChannelPreconditionFailed

from cueline import App, Context, runtime
from cueline.container import Container
from cueline.loading import load_settings
from tests.integration.pairs import ONE_FOR_EACH_BROKER, Pair
from tests.integration.servers.server import Server

REDELIVERY = 0.5
"""After how many seconds each broker delivers again what is not acknowledged."""

CONSUMER_TIMEOUT = 1
"""After how many seconds RabbitMQ cuts off who holds a message, in seconds."""

LONG = 3.5
"""How long the task takes, in seconds: some redeliveries, leases and consumer timeouts."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every broker deliver again soon."""

    def container(**given: Any) -> Container:
        made = Container(**given)
        brokers: Mapping[str, Any] = made.broker.providers  # type: ignore[attr-defined]
        for name, broker in brokers.items():
            in_memory = name == "memory"
            redelivery = REDELIVERY if in_memory else timedelta(seconds=REDELIVERY)
            broker.add_kwargs(redelivery=redelivery)
        return made

    monkeypatch.setattr(runtime, "Container", container)


async def work_long(settings: Mapping[str, str]) -> None:
    """Run a long task among short ones, and check that it was run once."""
    app = App("long", settings=load_settings(**settings, lease="1s"))
    begun: list[int] = []

    @app.task
    async def long(ctx: Context) -> int:
        begun.append(ctx.attempt)
        await asyncio.sleep(LONG)
        return ctx.attempt

    @app.task
    async def short() -> None:
        """Have the broker carry something meanwhile."""

    async with app.working():
        ref = await long.submit()
        result = asyncio.create_task(ref.result("30s"))
        while not result.done():
            await (await short.submit()).result("30s")
            await asyncio.sleep(0.1)
        assert await result == 1
        task = (await app.connection.call(lambda use: use.queries.task(ref.id))).task
    assert begun == [1]
    assert (task.attempt, task.version, task.failures) == (1, 3, 0)


@pytest.fixture(params=ONE_FOR_EACH_BROKER)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    pair: Pair = request.param
    return pair.settings(request, tmp_path)


async def test_a_task_that_outlasts_the_redelivery_is_run_once(settings: dict[str, str]) -> None:
    await work_long(settings)


async def test_a_task_that_outlasts_the_consumer_timeout_of_rabbitmq_is_run_once(
    postgres_url: str, rabbitmq_url: str, rabbitmq_server: Server, namespace: str
) -> None:
    settings = {"store": postgres_url, "broker": rabbitmq_url, "namespace": namespace}
    before = await _limits(rabbitmq_server)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_limit, rabbitmq_server, *before)
        await _limit(rabbitmq_server, str(1000 * CONSUMER_TIMEOUT), str(100 * CONSUMER_TIMEOUT))
        await asyncio.gather(work_long(settings), _who_holds_a_message_is_cut_off(rabbitmq_url))


async def _limits(server: Server) -> tuple[str, str]:
    return (
        await _evaluated(server, "{ok, V} = application:get_env(rabbit, consumer_timeout), V."),
        await _evaluated(
            server, "{ok, V} = application:get_env(rabbit, channel_tick_interval), V."
        ),
    )


async def _limit(server: Server, consumer_timeout: str, tick: str) -> None:
    """Set the timeout, and how often it is looked at, for the channels that are opened next."""
    await _evaluated(server, f"application:set_env(rabbit, consumer_timeout, {consumer_timeout}).")
    await _evaluated(server, f"application:set_env(rabbit, channel_tick_interval, {tick}).")


async def _evaluated(server: Server, expression: str) -> str:
    return (await asyncio.to_thread(server.run, "rabbitmqctl", "eval", expression)).strip()


async def _who_holds_a_message_is_cut_off(url: str) -> None:
    """Check that the timeout is at work: without it the test would show nothing."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        cut_off: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

        def closed(_: AbstractChannel | None, reason: BaseException | None) -> None:
            if not cut_off.done():
                cut_off.set_result(reason)

        channel.close_callbacks.add(closed)
        queue = await channel.declare_queue(exclusive=True)
        await channel.default_exchange.publish(aio_pika.Message(b""), queue.name)
        await queue.consume(_hold)
        async with asyncio.timeout(20):
            assert isinstance(await cut_off, ChannelPreconditionFailed)


async def _hold(_: AbstractIncomingMessage) -> None:
    """Never answer."""
