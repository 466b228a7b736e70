"""DBOS on PostgreSQL: each task is a workflow on a queue; a chain is one workflow of four steps.

Its queues are polled; the interval is a hundredth of its default of one second, and a worker runs
as many workflows at a time as there are slots. Workflows and steps are kept (its only way). They
are plain functions, for which DBOS has threads: its coroutines call the database in threads too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from dbos import DBOS, DBOSClient, EnqueueOptions

from benchmarks.subjects import handlers, places, until_terminated
from benchmarks.subjects.command import Unable, run, surroundings

POLL = 0.01
POOL = 20
QUEUE = "bench"
HERE = surroundings("dbos_postgres", places.POSTGRES)
SETTINGS = (
    f"worker_concurrency {HERE.slots}, poll every {POLL * 1000:g} ms, pool of {POOL}, all kept; "
    "chain: workflow of four steps; fan: workflow of ten child workflows"
)


@DBOS.workflow(name="nothing")
def nothing(number: int) -> int:
    """A task: a workflow that does nothing."""
    return handlers.nothing(number)


@DBOS.step(name="step")
def step(number: int, place: int) -> int:
    """One of a chain's steps."""
    return handlers.step(number, place)


@DBOS.step(name="join")
def join(number: int) -> int:
    """The last step of a fan."""
    return handlers.join(number)


@DBOS.workflow(name="chain")
def chain(number: int) -> int:
    """Four steps, each begun when the one before has been kept."""
    for place in range(handlers.STEPS):
        step(number, place)
    return number


@DBOS.workflow(name="branch")
def branch(number: int, place: int) -> int:
    """One of a fan's parallel parts."""
    return handlers.branch(number, place)


@DBOS.workflow(name="fan")
def fan(number: int) -> int:
    """Ten child workflows side by side, and a step when all have ended."""
    children = [DBOS.start_workflow(branch, number, place) for place in range(handlers.BRANCHES)]
    for child in children:
        child.get_result()
    joined: int = join(number)
    return joined


class Producer:
    """Enqueues workflows from outside, as another service would; it blocks."""

    def __init__(self, client: DBOSClient) -> None:
        self._client = client

    async def submit(self, number: int) -> None:
        self._enqueue("nothing", number)

    async def submit_many(self, numbers: range) -> None:
        raise Unable

    async def chain(self, number: int) -> None:
        self._enqueue("chain", number)

    async def fan(self, number: int) -> None:
        self._enqueue("fan", number)

    def _enqueue(self, workflow: str, number: int) -> None:
        options = EnqueueOptions(queue_name=QUEUE, workflow_name=workflow)
        self._client.enqueue(options, number)


class DbosOnPostgres:
    """DBOS with its system database in PostgreSQL."""

    settings = SETTINGS

    def remove(self) -> None:
        places.drop_database(HERE.url, HERE.namespace)

    def prepare(self) -> None:
        places.create_database(HERE.url, HERE.namespace)
        _launch()  # makes the tables and keeps the queue
        DBOS.destroy()

    def opened(self) -> AbstractAsyncContextManager[Producer]:
        return _opened()

    def work(self, ready: Callable[[], None]) -> None:
        until_terminated.block_terminate()
        _launch()
        ready()
        until_terminated.wait_for_terminate()
        DBOS.destroy()


def _launch() -> None:
    DBOS(
        config={
            "name": "bench",
            "application_version": "bench",
            "system_database_url": _url(),
            "sys_db_pool_size": POOL,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=HERE.slots, polling_interval_sec=POLL)


def _url() -> str:
    return places.database_url(HERE.url, HERE.namespace)


@asynccontextmanager
async def _opened() -> AsyncIterator[Producer]:
    client = DBOSClient(system_database_url=_url())
    client.list_workflows(limit=1)  # connects
    yield Producer(client)
    client.destroy()


if __name__ == "__main__":
    run(DbosOnPostgres())
