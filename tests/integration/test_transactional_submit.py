"""A submit in a transaction of the caller's own is there once they commit, and never otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from cueline import App
from cueline.app import TaskHandle, TaskRef
from cueline.application.ports.questions import Page, TaskFilter
from cueline.domain.errors import InvalidInput, KeyReused
from cueline.loading import load_settings

T = TypeVar("T")

ORDERS = "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cueline.db'}"
    url: str = request.getfixturevalue("postgres_store_url")
    return url


@pytest.fixture
def done() -> list[int]:
    """The orders whose handler has run."""
    return []


@pytest.fixture
def shop(store_url: str) -> App:
    return App("shop", settings=load_settings(store=store_url, namespace="transactional"))


@pytest.fixture
def ship(shop: App, done: list[int]) -> TaskHandle[[int], None]:
    @shop.task
    async def ship(order: int) -> None:
        done.append(order)

    return ship


@pytest.fixture
async def session(store_url: str) -> AsyncIterator[AsyncSession]:
    """A session of the caller's, in whose database there is a table of the caller's."""
    driver = store_url.replace("sqlite:", "sqlite+aiosqlite:", 1)
    engine = create_async_engine(driver.replace("postgresql:", "postgresql+asyncpg:", 1))
    async with engine.begin() as connection:
        await connection.execute(text(ORDERS))
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
def plain_session(store_url: str) -> Iterator[Session]:
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        connection.execute(text(ORDERS))
    with Session(engine) as session:
        yield session
    engine.dispose()


async def names_of(shop: App) -> list[str]:
    """The names of the tasks that anybody can see."""

    async def look(application: object) -> list[str]:
        found = await application.queries.tasks(TaskFilter(), Page())  # type: ignore[attr-defined]
        return [detail.task.spec.name for detail in found]

    return await shop.connection.call(look)


async def test_it_is_there_once_the_caller_commits(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession, done: list[int]
) -> None:
    async with shop.working():
        await session.execute(text("INSERT INTO orders VALUES (7)"))
        submitted = await ship.with_options(session=session).submit(7)
        await asyncio.sleep(0.1)
        assert await names_of(shop) == []
        assert done == []
        await session.commit()
        assert await submitted.result("10s") is None
    assert done == [7]


async def test_it_never_was_if_the_caller_rolls_back(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession, done: list[int]
) -> None:
    async with shop.working():
        await ship.with_options(session=session).submit(7)
        await session.rollback()
        first = await ship.with_options(session=session).submit(8)
        await session.commit()
        second = await ship.submit(9)
        for submitted in (first, second):
            await submitted.result("10s")
        assert await names_of(shop) == ["ship", "ship"]
    assert sorted(done) == [8, 9]


async def test_a_savepoint_that_is_undone_takes_its_task_with_it(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession, done: list[int]
) -> None:
    within = ship.with_options(session=session)
    async with shop.working():
        kept = await within.submit(1)
        savepoint = await session.begin_nested()
        await within.submit(2)
        await savepoint.rollback()
        async with session.begin_nested():
            also_kept = await within.submit(3)
        await session.commit()
        for submitted in (kept, also_kept):
            await submitted.result("10s")
    assert sorted(done) == [1, 3]


async def test_a_batch_and_keys_work_as_ever(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession
) -> None:
    within = ship.with_options(session=session)
    async with shop:
        first = await within.with_options(key="order-7").submit(7)
        again = await within.with_options(key="order-7").submit(7)
        assert (again.id, again.created) == (first.id, False)
        many = await within.submit_many([{"order": n} for n in range(3)])
        await session.commit()
        assert len(await names_of(shop)) == 1 + len(many)
        with pytest.raises(KeyReused):
            await within.with_options(key="order-7").submit(8)


async def test_a_wrong_input_is_refused_and_the_transaction_goes_on(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession
) -> None:
    async with shop:
        with pytest.raises(InvalidInput):
            await ship.with_options(session=session).submit("seven")  # type: ignore[arg-type]
        await session.execute(text("INSERT INTO orders VALUES (7)"))
        await session.commit()


async def test_a_plain_session_goes_with_submit_sync(
    shop: App, ship: TaskHandle[[int], None], plain_session: Session, done: list[int]
) -> None:
    def place_orders() -> TaskRef:
        ship.with_options(session=plain_session).submit_sync(1)
        plain_session.rollback()
        plain_session.execute(text("INSERT INTO orders VALUES (2)"))
        submitted = ship.with_options(session=plain_session).submit_sync(2)
        plain_session.commit()
        return submitted

    async with shop.working():
        submitted = await asyncio.to_thread(place_orders)
        await submitted.result("10s")
    assert done == [2]


async def test_a_session_on_another_database_is_refused(
    shop: App, ship: TaskHandle[[int], None], tmp_path: Path
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    async with shop, AsyncSession(engine) as session:
        with pytest.raises(InvalidInput, match="CUELINE_STORE"):
            await ship.with_options(session=session).submit(7)
    await engine.dispose()


async def test_what_is_no_session_is_refused(shop: App, ship: TaskHandle[[int], None]) -> None:
    async with shop:
        with pytest.raises(InvalidInput, match="use a session of SQLAlchemy"):
            await ship.with_options(session="no session").submit(7)  # type: ignore[arg-type]


# --- kinds of sessions ----------------------------------------------------------------------------


async def test_a_scoped_session_is_the_one_of_its_scope(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession, done: list[int]
) -> None:
    factory = async_sessionmaker(session.bind)
    scoped = async_scoped_session(factory, scopefunc=asyncio.current_task)
    async with shop.working():
        submitted = await ship.with_options(session=scoped).submit(7)
        await scoped.commit()
        await submitted.result("10s")
    await scoped.remove()
    assert done == [7]


async def test_a_plain_scoped_session_is_the_one_of_its_thread(
    shop: App, ship: TaskHandle[[int], None], plain_session: Session, done: list[int]
) -> None:
    scoped = scoped_session(sessionmaker(plain_session.get_bind()))

    def place_order() -> TaskRef:
        submitted = ship.with_options(session=scoped).submit_sync(7)
        scoped.commit()
        scoped.remove()
        return submitted

    async with shop.working():
        submitted = await asyncio.to_thread(place_order)
        await submitted.result("10s")
    assert done == [7]


async def test_a_plain_session_is_refused_where_it_would_block(
    shop: App, ship: TaskHandle[[int], None], plain_session: Session
) -> None:
    async with shop:
        with pytest.raises(InvalidInput, match="a plain Session with submit_sync"):
            await ship.with_options(session=plain_session).submit(7)
        assert not plain_session.in_transaction()


async def test_a_session_that_awaits_is_refused_where_nothing_can(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession
) -> None:
    async with shop:
        within = ship.with_options(session=session)
        with pytest.raises(InvalidInput, match="use an AsyncSession with submit"):
            await asyncio.to_thread(within.submit_sync, 7)
        assert not session.in_transaction()


async def test_a_session_without_an_engine_is_refused(
    shop: App, ship: TaskHandle[[int], None]
) -> None:
    async with shop, AsyncSession() as session:
        with pytest.raises(InvalidInput, match="it has no engine"):
            await ship.with_options(session=session).submit(7)


@pytest.mark.server
async def test_a_session_on_another_database_of_the_same_kind_is_refused(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = load_settings(store=postgres_url, namespace="transactional")
    shop = App("shop", settings=settings)

    @shop.task
    async def ship(order: int) -> None: ...

    driver = postgres_url.replace("postgresql:", "postgresql+asyncpg:", 1)
    engine = create_async_engine(driver)
    async with shop:
        async with engine.begin() as connection:  # what makes a database another one
            await connection.execute(text("CREATE SCHEMA other"))
            await connection.execute(text("CREATE TABLE other.identity (id text)"))
            await connection.execute(text("INSERT INTO other.identity VALUES ('another')"))
        async with AsyncSession(engine) as session:
            await session.execute(text("SET LOCAL search_path TO other"))
            with pytest.raises(InvalidInput, match="CUELINE_STORE"):
                await ship.with_options(session=session).submit(7)
    await engine.dispose()


# --- long lives -----------------------------------------------------------------------------------


async def test_a_session_may_be_used_for_as_long_as_it_lives(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession, done: list[int]
) -> None:
    within = ship.with_options(session=session)
    async with shop.working():
        for number in range(3):
            submitted = [await within.submit(10 * number + each) for each in range(3)]
            await session.commit()
            for one in submitted:
                await one.result("10s")
            session.info.clear()  # it is the caller's
            await within.submit(99)
            await session.rollback()
    assert sorted(done) == [0, 1, 2, 10, 11, 12, 20, 21, 22]


async def test_a_commit_succeeds_although_the_application_was_closed(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession
) -> None:
    async with shop:
        await ship.with_options(session=session).submit(7)
    await session.commit()
    async with shop:
        assert await names_of(shop) == ["ship"]


async def test_thousands_are_submitted_in_one_transaction(
    shop: App, ship: TaskHandle[[int], None], session: AsyncSession
) -> None:
    async with shop:
        within = ship.with_options(session=session)
        submitted = await within.submit_many([{"order": n} for n in range(3000)])
        assert all(one.created for one in submitted)
        await session.commit()
        assert len({one.id for one in submitted}) == 3000


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.server
@pytest.mark.parametrize("commits", [True, False])
async def test_the_second_with_a_key_waits_for_the_end_of_the_first(
    postgres_store_url: str, *, commits: bool
) -> None:
    shop = App("shop", settings=load_settings(store=postgres_store_url, namespace="transactional"))

    @shop.task
    async def ship(order: int) -> None: ...

    engine = create_async_engine(postgres_store_url.replace("postgresql:", "postgresql+asyncpg:"))
    keyed = ship.with_options(key="order-7")
    async with shop, AsyncSession(engine) as one, AsyncSession(engine) as other:
        first = await keyed.with_options(session=one).submit(7)
        async with (
            _under_way(keyed.with_options(session=other).submit(7)) as second,
            _under_way(keyed.submit(7)) as third,
        ):
            await _two_wait(engine)
            await (one.commit() if commits else one.rollback())
            # After a rollback one of the two gets the key, and the other waits for it in turn.
            answers = [await second]
            await other.commit()
            answers.append(await third)
    assert len({first.id, *(each.id for each in answers)}) == (1 if commits else 2)
    assert sorted(each.created for each in answers) == [False, not commits]
    await engine.dispose()


@asynccontextmanager
async def _under_way(work: Coroutine[object, object, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Something that goes on beside, and no longer once the context is left."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _two_wait(engine: AsyncEngine) -> None:
    """Return once two backends wait for a lock.

    Each look is a transaction of its own: within one, a backend sees the others as at its first.
    """
    query = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    looking = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with asyncio.timeout(30), looking.connect() as connection:
        while (await connection.execute(query)).scalar_one() < 2:  # noqa: ASYNC110  # elsewhere
            await asyncio.sleep(0.01)
