"""The PostgreSQL adapters keep the contracts of their ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from cueline.domain.errors import Unavailable
from cueline.domain.task import Task
from cueline.domain.workflow.run import StepState
from cueline.infrastructure.sql.postgres.broker import PostgresBroker
from cueline.infrastructure.sql.postgres.listener import PostgresListener
from cueline.infrastructure.sql.postgres.store import CONNECTIONS, PostgresStore
from cueline.infrastructure.telemetry.prometheus import PrometheusMetrics
from tests.contracts.broker import BrokerContract, a_message, soon, tasks, waiting
from tests.contracts.store import StoreContract
from tests.contracts.store_capabilities import NewStore
from tests.contracts.store_suite import put_run
from tests.doubles import NOW, FakeClock
from tests.factories import a_claimant, a_run, a_step, a_task, a_worker, a_workflow


@pytest.fixture
async def postgres(postgres_store_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_store_url)
    await store.open()
    yield store
    await store.close()


class TestPostgresStore(StoreContract):
    adapter = PostgresStore

    @pytest.fixture
    def store(self, postgres: PostgresStore) -> PostgresStore:
        return postgres

    @pytest.fixture
    async def new_store(self, postgres_store_url: str) -> AsyncIterator[NewStore]:
        async with AsyncExitStack() as stack:

            async def new() -> PostgresStore:
                store = PostgresStore(postgres_store_url)
                stack.push_async_callback(store.close)
                await store.open()
                return store

            yield new

    @pytest.fixture
    async def session(self, postgres_store_url: str) -> AsyncIterator[AsyncSession]:
        driver = postgres_store_url.replace("postgresql:", "postgresql+asyncpg:", 1)
        engine = create_async_engine(driver)
        async with AsyncSession(engine) as session:
            yield session
        await engine.dispose()


class TestPostgresBroker(BrokerContract):
    adapter = PostgresBroker

    @pytest.fixture
    async def broker(
        self, postgres: PostgresStore, postgres_store_url: str, clock: FakeClock
    ) -> AsyncIterator[PostgresBroker]:
        async with opened(postgres, postgres_store_url, clock) as broker:
            yield broker

    @pytest.fixture
    async def other(
        self, postgres: PostgresStore, postgres_store_url: str, clock: FakeClock
    ) -> AsyncIterator[PostgresBroker]:
        async with opened(postgres, postgres_store_url, clock) as broker:
            yield broker


@asynccontextmanager
async def opened(store: PostgresStore, url: str, clock: FakeClock) -> AsyncIterator[PostgresBroker]:
    """A broker with a listener of its own, as each process has it."""
    listener = PostgresListener(url)
    await listener.open()
    broker = PostgresBroker(store, listener, clock, PrometheusMetrics())
    await broker.open()
    yield broker
    await broker.close()
    await listener.close()


async def test_a_publish_in_one_process_wakes_a_receiver_in_another(
    postgres: PostgresStore, postgres_store_url: str
) -> None:
    listeners = [PostgresListener(postgres_store_url) for _ in range(2)]
    clock, metrics = FakeClock(), PrometheusMetrics()
    brokers = [PostgresBroker(postgres, listener, clock, metrics) for listener in listeners]
    for listener, broker in zip(listeners, brokers, strict=True):
        await listener.open()
        await broker.open()
    here, there = brokers
    receiver = await waiting(there, ["default"])
    message = a_message()
    await here.publish([message])
    assert tasks(await soon(receiver)) == [message.task_id]
    for listener, broker in zip(listeners, brokers, strict=True):
        await broker.close()
        await listener.close()


async def test_many_receivers_take_each_message_once(postgres: PostgresStore) -> None:
    listener = PostgresListener("postgresql://nowhere")
    clock, metrics = FakeClock(), PrometheusMetrics()
    brokers = [PostgresBroker(postgres, listener, clock, metrics) for _ in range(4)]
    published = [a_message() for _ in range(500)]
    await brokers[0].publish(published)

    async def take_all(broker: PostgresBroker) -> list[str]:
        taken: list[str] = []
        while some := await broker.receive(["default"], 20, 0):
            assert len(some) <= 20
            taken += tasks(some)
        return taken

    parts = await asyncio.gather(*(take_all(broker) for broker in brokers))
    assert sorted(id for part in parts for id in part) == sorted(tasks(published))


async def test_connections_that_are_cut_are_made_again(
    postgres: PostgresStore, postgres_store_url: str
) -> None:
    task = a_task()
    async with postgres.write() as uow:
        await uow.tasks.add_many([task])
        await uow.commit()
    await terminate_all(postgres_store_url)
    for _ in range(CONNECTIONS):  # each pool may hold that many of the dead
        with suppress(Unavailable):
            async with postgres.read() as uow:
                assert await uow.tasks.get_many([task.id]) == [task]
                return
    pytest.fail("the store did not come back")


async def test_a_transaction_that_is_cut_is_unavailable_and_undone(
    postgres: PostgresStore, postgres_store_url: str
) -> None:
    task = a_task()

    async def be_cut() -> None:
        async with postgres.write() as uow:
            await uow.tasks.add_many([task])
            await terminate_all(postgres_store_url)
            await uow.commit()

    with pytest.raises(Unavailable):
        await be_cut()
    async with postgres.write() as uow:
        assert await uow.tasks.add_many([task]) == {task.id}


async def test_a_cancelled_caller_leaves_no_transaction_behind(
    postgres: PostgresStore, postgres_store_url: str
) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with postgres.write() as uow:
            await uow.tasks.add_many([a_task()])
            entered.set()
            await asyncio.sleep(30)

    holder = asyncio.create_task(hold())
    await entered.wait()
    holder.cancel()
    await asyncio.gather(holder, return_exceptions=True)
    connection = await asyncpg.connect(postgres_store_url)
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert await connection.fetchval(f"{idle} AND datname = current_database()") == 0
    await connection.close()


async def test_batches_that_cross_do_not_deadlock(postgres: PostgresStore) -> None:
    stored = [a_task(key=f"key-{n}") for n in range(200)]
    async with postgres.write() as uow:
        await uow.tasks.add_many(stored)
        await uow.commit()

    async def claim(order: list[Task]) -> int:
        async with postgres.write() as uow:
            worker = a_worker().id
            stale = await uow.tasks.save_many([task.claim(worker, NOW) for task in order])
            await uow.commit()
        return len(order) - len(stale)

    claims = [claim(stored), claim(stored[::-1]), claim(stored), claim(stored[::-1])]
    assert sum(await asyncio.gather(*claims)) == len(stored)


async def test_what_another_transaction_holds_is_passed_over(postgres: PostgresStore) -> None:
    held, free, worker = a_task(), a_task(), a_worker()
    async with postgres.write() as uow:
        await uow.tasks.add_many([held, free])
        await uow.workers.add(worker)
        await uow.commit()
    claimant = a_claimant(worker)
    async with postgres.write() as uow, asyncio.timeout(10):  # nobody waits
        await uow.tasks.save_many([held.claim(a_worker().id, NOW)])
        async with postgres.write() as other:
            assert [task.id for task in await other.tasks.due("default", NOW, 9)] == [free.id]
            await other.tasks.set_due([held.id, free.id], NOW)
        for ids in ([held.id, free.id], []):
            async with postgres.write() as other:
                assert (
                    await other.tasks.claim_many(ids, claimant, NOW)
                    if ids
                    else (await other.tasks.claim_due("default", claimant, NOW, 9)).claimed
                ) == [free.claim(worker.id, NOW)]


async def test_who_waited_for_a_run_reads_its_steps_anew(
    postgres: PostgresStore, postgres_store_url: str
) -> None:
    """The statement that waits saw the steps as they were before: nobody may believe those."""
    run = a_run(workflow=a_workflow(steps=[a_step("a"), a_step("b", after="a")]))
    await put_run(postgres, run)
    begun = replace(run.steps["a"], state=StepState.RUNNING, starts=1, started_at=NOW)
    advanced = replace(run, steps={**run.steps, "a": begun}, version=run.version + 1)
    watcher = await asyncpg.connect(postgres_store_url)
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    async with postgres.write() as first, postgres.write() as second:
        assert await first.runs.lock_many([run.id]) == [run]
        locking = asyncio.create_task(second.runs.lock_many([run.id]))
        async with asyncio.timeout(20):
            while not await watcher.fetchval(waiting):  # noqa: ASYNC110  # the server has no event
                await asyncio.sleep(0.01)
        await first.runs.save_many([advanced])
        await first.commit()
        assert await locking == [advanced]
    await watcher.close()


async def test_the_messages_are_not_written_ahead(
    postgres_store_url: str, postgres: object
) -> None:
    connection = await asyncpg.connect(postgres_store_url)
    kind = await connection.fetchval("SELECT relpersistence FROM pg_class WHERE relname='messages'")
    assert kind == b"u"
    await connection.close()


async def test_many_processes_may_open_a_new_database_at_once(postgres_url: str) -> None:
    stores = [PostgresStore(postgres_url) for _ in range(5)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))


async def test_the_time_is_the_database_s(postgres: PostgresStore, postgres_store_url: str) -> None:
    connection = await asyncpg.connect(postgres_store_url)
    before = await connection.fetchval("SELECT clock_timestamp()")
    told = postgres.clock.now()
    after = await connection.fetchval("SELECT clock_timestamp()")
    doubt = timedelta(milliseconds=50)  # what a busy machine may add to the measurement
    assert before - doubt <= told <= after + doubt
    await connection.close()


async def terminate_all(url: str) -> None:
    """Cut all connections to a database but the one that says so."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
