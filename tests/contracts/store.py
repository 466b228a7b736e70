"""The whole contract of a store."""

from __future__ import annotations

from tests.contracts.store_capabilities import StoreCapabilitiesContract
from tests.contracts.store_claims import ClaimContract
from tests.contracts.store_dispatch import DispatchContract
from tests.contracts.store_journal import JournalContract
from tests.contracts.store_listing import ListingContract
from tests.contracts.store_optimism import OptimismContract
from tests.contracts.store_registry import RegistryContract
from tests.contracts.store_runs import RunContract
from tests.contracts.store_tasks import TaskContract
from tests.contracts.store_transactions import TransactionContract


class StoreContract(
    TaskContract,
    ClaimContract,
    DispatchContract,
    ListingContract,
    RunContract,
    OptimismContract,
    RegistryContract,
    JournalContract,
    TransactionContract,
    StoreCapabilitiesContract,
):
    """Every test of every topic.

    An adapter names itself, and provides the fixtures `store`, `new_store` and `session`.
    """
