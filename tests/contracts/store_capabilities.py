"""What a store declares that it can do is what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cueline.application.ports.capabilities import Reach
from cueline.application.ports.persistence import Store
from cueline.domain.errors import InvalidInput
from tests.contracts.store_suite import StoreSuite, get_all, put
from tests.factories import a_run, a_task, a_workflow

NewStore: TypeAlias = Callable[[], Awaitable[Store]]


class StoreCapabilitiesContract(StoreSuite):
    """An adapter provides `new_store` and `session` beside `store`."""

    @pytest.fixture
    def new_store(self) -> NewStore:
        """Opens one more store on the same place, as another process would; it gets closed."""
        raise NotImplementedError

    @pytest.fixture
    def session(self) -> AsyncSession:
        """A caller's session on the database of the store, if it has one."""
        raise NotImplementedError

    def test_the_suite_tries_the_adapter_that_it_names(self, store: Store) -> None:
        assert type(store) is self.adapter

    async def test_it_reaches_other_processes_if_it_says_so(
        self, store: Store, new_store: NewStore
    ) -> None:
        task = a_task()
        await put(store, task)
        seen = await get_all(await new_store(), [task.id])
        assert (seen == [task]) is (store.capabilities.reach > Reach.PROCESS)

    async def test_what_a_process_took_back_is_not_missing_for_others(
        self, store: Store, new_store: NewStore
    ) -> None:
        run = a_run(workflow=a_workflow(name="nowhere-else"))
        async with store.write() as uow:
            await uow.runs.add_many([run])
            assert await uow.runs.lock_many([run.id]) == [run]  # rolled back after it was read
        async with store.write() as uow:
            await uow.runs.add_many([run])
            await uow.commit()
        if store.capabilities.reach > Reach.PROCESS:
            async with (await new_store()).read() as uow:
                assert await uow.runs.get_many([run.id]) == [run]

    async def test_it_is_durable_if_it_says_so(self, store: Store, new_store: NewStore) -> None:
        task = a_task()
        await put(store, task)
        await store.close()
        seen = await get_all(await new_store(), [task.id])
        assert (seen == [task]) is store.capabilities.is_durable

    async def test_it_joins_a_transaction_if_it_says_so(
        self, store: Store, session: AsyncSession
    ) -> None:
        assert await _joins(store, session) is store.capabilities.joins_transactions


async def _joins(store: Store, session: AsyncSession) -> bool:
    """Whether a task can be added in the session's transaction, and only then."""
    task = a_task()
    await store.prepare_to_join([task.spec.queue])
    try:
        async with store.join(session, lambda: None) as uow:
            await uow.tasks.add_many([task])
    except InvalidInput:
        return False
    assert await get_all(store, [task.id]) == []
    await session.commit()
    return await get_all(store, [task.id]) == [task]
