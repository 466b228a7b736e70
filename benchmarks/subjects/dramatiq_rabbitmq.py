"""Dramatiq on RabbitMQ: durable queue, persistent messages, acknowledged after the run.

Publishes are confirmed, which is not its default: as for all subjects, a submit that returned is
kept. Results are in Redis, since RabbitMQ has no place for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import dq_name, xq_name

from benchmarks.subjects import dramatiq_actors, places
from benchmarks.subjects.command import run, surroundings

HERE = surroundings("dramatiq_rabbitmq", places.RABBITMQ, places.REDIS)
SETTINGS = (
    f"{dramatiq_actors.tuning(HERE)}, persistent, confirmed, results in Redis 10 min; "
    f"{dramatiq_actors.CHAINS}"
)

broker = RabbitmqBroker(url=HERE.url, confirm_delivery=True)


def _declare() -> None:
    broker.declare_queue(HERE.namespace, ensure=True)


actors = dramatiq_actors.Actors(broker, HERE, HERE.store_url, connect=_declare)


class DramatiqOnRabbitmq:
    """Dramatiq with its queue in RabbitMQ."""

    settings = SETTINGS

    def remove(self) -> None:
        name = HERE.namespace
        places.delete_queues(HERE.url, [name, dq_name(name), xq_name(name)])
        places.forget_keys(HERE.store_url, name)

    def prepare(self) -> None:
        _declare()
        broker.close()

    def opened(self) -> AbstractAsyncContextManager[dramatiq_actors.Actors]:
        return actors.opened()

    def work(self, ready: Callable[[], None]) -> None:
        actors.work(ready)


if __name__ == "__main__":
    run(DramatiqOnRabbitmq())
