"""Celery on RabbitMQ, its results in Redis.

As its guide to optimizing advises: a large prefetch for short tasks, no rate limits, no remote
control, gossip, mingle or heartbeats between workers. Messages are persistent, and acknowledged
before the run (both its defaults: a task that runs when its worker dies is lost). Publishes are
confirmed, which is not: as for all subjects, a submit that returned is kept. The pool is of ten
threads at most, which was faster at no-op tasks than a solo pool, two threads or two processes;
so one worker is one process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from celery import Celery, chain, chord, group
from celery.signals import worker_ready

from benchmarks.subjects import handlers, places
from benchmarks.subjects.command import Unable, run, surroundings

HERE = surroundings("celery_rabbitmq", places.RABBITMQ, places.REDIS)
THREADS = min(HERE.slots, 10)
PREFETCH = 100
SETTINGS = (
    f"{THREADS} threads, prefetch {THREADS * PREFETCH}, acked early, persistent, confirmed, "
    "results in Redis; chain: chain; fan: chord"
)
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]

app = Celery("bench", broker=HERE.url, backend=HERE.store_url)
app.conf.update(
    task_default_queue=HERE.namespace,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    result_backend_transport_options={"global_keyprefix": f"{HERE.namespace}:"},
    worker_prefetch_multiplier=PREFETCH,
    worker_disable_rate_limits=True,
    worker_enable_remote_control=False,
    worker_redirect_stdouts=False,
)

nothing = app.task(handlers.nothing, name="nothing")
step = app.task(handlers.step, name="step")
branch = app.task(handlers.branch, name="branch")
join = app.task(handlers.join, name="join")


class Producer:
    """Sends messages; it blocks, as all of Celery's clients do."""

    async def submit(self, number: int) -> None:
        nothing.delay(number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        chain(*(step.si(number, place) for place in range(handlers.STEPS))).delay()

    async def fan(self, number: int) -> None:
        branches = group(branch.si(number, place) for place in range(handlers.BRANCHES))
        chord(branches, join.si(number)).delay()


class CeleryOnRabbitmq:
    """Celery with its queue in RabbitMQ."""

    settings = SETTINGS

    def remove(self) -> None:
        places.delete_queues(HERE.url, [HERE.namespace])
        places.forget_keys(HERE.store_url, HERE.namespace)

    def prepare(self) -> None:
        with app.connection_for_write() as connection, connection.channel() as channel:
            app.amqp.queues[HERE.namespace](channel).declare()

    def opened(self) -> AbstractAsyncContextManager[Producer]:
        return _opened()

    def work(self, ready: Callable[[], None]) -> None:
        def started(**_: Any) -> None:
            ready()

        worker_ready.connect(started, weak=False)
        app.worker_main(["--quiet", "worker", "--pool=threads", f"--concurrency={THREADS}", *QUIET])


@asynccontextmanager
async def _opened() -> AsyncIterator[Producer]:
    with app.producer_or_acquire() as producer:
        producer.connection.ensure_connection()
        producer.channel  # noqa: B018  # opens it
    yield Producer()


if __name__ == "__main__":
    run(CeleryOnRabbitmq())
