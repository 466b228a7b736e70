"""What can be registered: workflows, task definitions, queues and workers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple, rule

from cueline.application.ports.persistence import UnitOfWork
from cueline.domain.definition import TaskDefinition
from cueline.domain.identifiers import WorkerId
from cueline.domain.queue import Queue
from cueline.domain.worker import Worker, WorkerEvent, WorkerState
from cueline.domain.workflow.definition import Workflow
from tests.integration.three_stores import drawing as some
from tests.integration.three_stores.everything import by_id
from tests.integration.three_stores.machine import Machine


class RegistryRules(Machine):
    read: Bundle[Worker] = Bundle("read")
    """Workers as they once were."""

    # --- workflows, definitions, queues -----------------------------------------------------------

    @rule(workflow=some.workflows())
    def register_a_workflow(self, workflow: Workflow) -> None:
        self.write(lambda uow: uow.workflows.add(workflow))

    @rule(definitions=st.lists(some.definitions, max_size=3), queue=some.queue_settings)
    def set_up(self, definitions: list[TaskDefinition], queue: Queue) -> None:
        """The last word on a name holds."""

        async def put(uow: UnitOfWork) -> None:
            await uow.definitions.put_many(definitions)
            await uow.queues.save(queue)

        self.write(put)

    # --- workers ----------------------------------------------------------------------------------

    @initialize(target=read, worker=some.workers)
    def begin_with_a_worker(self, worker: Worker) -> Worker:
        self.register_a_worker(worker)
        return worker

    @rule(target=read, worker=some.workers)
    def register_a_worker(self, worker: Worker) -> Worker:
        """An id that is taken is refused."""
        self.write(lambda uow: uow.workers.add(worker))
        return worker

    @rule(target=read, worker=read, event=st.sampled_from(WorkerEvent))
    def change_a_worker_that_was_read(
        self, worker: Worker, event: WorkerEvent
    ) -> MultipleResults[Worker]:
        """It may have been renewed, stopped or evicted since."""
        if worker.state is not WorkerState.LIVE:
            return multiple()
        match event:
            case WorkerEvent.RENEW:
                changed = worker.renew(self.now)
            case WorkerEvent.STOP:
                changed = worker.stop()
            case WorkerEvent.EVICT:
                changed = worker.evict(max(self.now, worker.lease_until))
        self.write(lambda uow: uow.workers.save(changed, worker.lease_until))
        return multiple(changed)

    # --- asking -----------------------------------------------------------------------------------

    @rule(
        name=some.names,
        version=some.versions,
        worker=some.worker_ids,
        limit=some.limits,
        inside=st.booleans(),
    )
    def look_up(self, name: str, version: int, worker: WorkerId, limit: int, inside: bool) -> None:
        async def look(uow: UnitOfWork) -> list[Any]:
            return [
                await uow.workflows.get(name, version),
                await uow.workflows.latest(name),
                await uow.workers.get(worker),
                by_id(await uow.workers.live()),
                await uow.workers.search(limit),
            ]

        self.ask(look, inside=inside)
