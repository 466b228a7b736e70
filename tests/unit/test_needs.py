"""What the roles of a process need of its adapters."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from cueline.domain.errors import InvalidInput
from cueline.infrastructure.memory.broker import MemoryBroker
from cueline.infrastructure.memory.store import MemoryStore
from cueline.infrastructure.rabbitmq.broker import RabbitBroker
from cueline.infrastructure.redis.broker import RedisBroker
from cueline.infrastructure.sql.postgres.broker import PostgresBroker
from cueline.infrastructure.sql.postgres.store import PostgresStore
from cueline.infrastructure.sql.sqlite.broker import SqliteBroker
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.needs import require
from cueline.settings import Role

ANY_ROLES = [*chain.from_iterable(combinations(Role, n) for n in range(1, 5))]


@pytest.mark.parametrize("store", [SqliteStore, PostgresStore])
@pytest.mark.parametrize("broker", [SqliteBroker, PostgresBroker, RedisBroker, RabbitBroker])
@pytest.mark.parametrize("roles", ANY_ROLES)
def test_what_is_shared_meets_the_needs_of_any_roles(
    roles: tuple[Role, ...], store: type[SqliteStore], broker: type[SqliteBroker]
) -> None:
    require(roles, store.capabilities, broker.capabilities)


def test_a_process_of_all_roles_needs_nothing_that_is_shared() -> None:
    require(tuple(Role), MemoryStore.capabilities, MemoryBroker.capabilities)


@pytest.mark.parametrize("roles", [(Role.API,), (Role.API, Role.WORKER), (Role.DISPATCHER,)])
def test_a_store_that_nobody_else_sees_needs_worker_and_dispatcher(roles: tuple[Role, ...]) -> None:
    with pytest.raises(InvalidInput, match="store: no other process sees this store"):
        require(roles, MemoryStore.capabilities, RedisBroker.capabilities)


@pytest.mark.parametrize("roles", [(Role.API,), (Role.DISPATCHER,), (Role.API, Role.DISPATCHER)])
def test_who_sends_by_a_broker_of_this_process_needs_a_worker_here(roles: tuple[Role, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"broker: .* nobody is worker"):
        require(roles, PostgresStore.capabilities, MemoryBroker.capabilities)


def test_a_worker_on_a_broker_of_this_process_needs_a_dispatcher_here() -> None:
    with pytest.raises(InvalidInput, match="those of a dispatcher"):
        require((Role.WORKER,), PostgresStore.capabilities, MemoryBroker.capabilities)
    require((Role.WORKER, Role.DISPATCHER), PostgresStore.capabilities, MemoryBroker.capabilities)
