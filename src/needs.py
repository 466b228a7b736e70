"""What a process needs of its adapters to do what its roles say; an unmet need stops the start."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cueline.application.ports.capabilities import (
    BrokerCapabilities,
    Reach,
    StoreCapabilities,
)
from cueline.domain.errors import InvalidInput, Problem
from cueline.settings import Role


def require(roles: Collection[Role], store: StoreCapabilities, broker: BrokerCapabilities) -> None:
    """Raise `InvalidInput` that names every need of these roles that is not met, and a remedy."""
    if problems := [*_of_the_store(roles, store), *_of_the_broker(roles, broker)]:
        raise InvalidInput("the roles need more than what is selected can do", problems)


def _of_the_store(roles: Collection[Role], store: StoreCapabilities) -> Iterator[Problem]:
    if store.reach > Reach.PROCESS:
        return
    missing = {Role.WORKER, Role.DISPATCHER} - set(roles)
    if missing:
        yield Problem(
            "store",
            f"no other process sees this store, so that nobody would be {_names(missing)}: "
            "add the roles here, or use sqlite:/// or postgresql://",
        )


def _of_the_broker(roles: Collection[Role], broker: BrokerCapabilities) -> Iterator[Problem]:
    if broker.reach > Reach.PROCESS:
        return
    sending, receiving = {Role.API, Role.DISPATCHER} & set(roles), Role.WORKER in roles
    if sending and not receiving:
        yield Problem(
            "broker",
            f"its messages reach this process only, where {_names(sending)} would send them and "
            "nobody is worker: add the role, or use a broker that all share",
        )
    if receiving and Role.DISPATCHER not in roles:
        yield Problem(
            "broker",
            "its messages reach this process only, where a worker would wait for those of a "
            "dispatcher: add that role, or use a broker that all share",
        )


def _names(roles: Collection[Role]) -> str:
    return " and ".join(sorted(role.value for role in roles))
