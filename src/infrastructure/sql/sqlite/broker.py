"""A broker in the file of a SQLite store."""

from __future__ import annotations

from datetime import timedelta

from cueline.application.ports.capabilities import BrokerCapabilities, Reach
from cueline.application.ports.metrics import Metrics
from cueline.application.ports.runtime import Clock
from cueline.infrastructure.sql.broker import REDELIVERY, SqlBroker
from cueline.infrastructure.sql.sqlite.store import SqliteStore
from cueline.infrastructure.sql.sqlite.watch import FileWatch


class SqliteBroker(SqlBroker):
    """Wakes the receivers of other processes by watching the file."""

    capabilities = BrokerCapabilities(Reach.MACHINE, outlives_server=True)
    asks_first = True  # SQLite has one write lock for all

    def __init__(
        self,
        store: SqliteStore,
        clock: Clock,
        metrics: Metrics,
        redelivery: timedelta = REDELIVERY,
    ) -> None:
        super().__init__(store, clock, metrics, FileWatch(store.path), redelivery)
