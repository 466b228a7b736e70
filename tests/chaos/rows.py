"""The rows of the table: what is done, how often, and with which brokers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.chaos import strikes_at_servers, strikes_at_workers
from tests.chaos.world import World

Strike: TypeAlias = Callable[[World, int], Awaitable[None]]
"""Makes so many faults in a world."""

EVERY_BROKER = ("postgres", "redis", "rabbitmq")


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of fault. `breaks` is the server that has to be ours for it, if there is one."""

    name: str
    strike: Strike
    short: int
    long: int
    brokers: tuple[str, ...] = EVERY_BROKER
    breaks: str | None = None

    def shares(self, count: int) -> list[tuple[str, int]]:
        """The brokers, and how many of so many faults are made with each."""
        whole, rest = divmod(count, len(self.brokers))
        shares = [whole + (number < rest) for number in range(len(self.brokers))]
        return [
            (broker, share) for broker, share in zip(self.brokers, shares, strict=True) if share
        ]


ROWS = (
    Row("kill-worker", strikes_at_workers.kill, 50, 1000),
    Row("sigstop", strikes_at_workers.freeze, 10, 200),
    Row("poison", strikes_at_workers.poison, 12, 120),
    Row(
        "restart-rabbitmq",
        strikes_at_servers.restart_broker,
        *(3, 50, ("rabbitmq",)),
        breaks="rabbitmq",
    ),
    Row("kill-redis", strikes_at_servers.kill_broker, 3, 50, ("redis",), breaks="redis"),
    Row("flush-redis", strikes_at_servers.flush_redis, 3, 50, ("redis",)),
    Row("cut-off-broker", strikes_at_servers.cut_broker_off, 6, 100, ("redis", "rabbitmq")),
    Row("stop-postgres", strikes_at_servers.stop_postgres_at_once, 3, 50, breaks="postgres"),
    Row("cut-postgres", strikes_at_servers.cut_connections, 3, 50),
)
BY_NAME = {row.name: row for row in ROWS}
