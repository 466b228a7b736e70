"""Workflows, task definitions, queues and workers, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, select, update

from cueline.application.ports.persistence import (
    DefinitionRepository,
    QueueRepository,
    WorkerRepository,
    WorkflowRepository,
)
from cueline.domain.definition import TaskDefinition
from cueline.domain.identifiers import WorkerId
from cueline.domain.queue import Queue
from cueline.domain.task import Priority
from cueline.domain.worker import Worker, WorkerState
from cueline.domain.workflow.definition import Workflow
from cueline.infrastructure.sql import rows
from cueline.infrastructure.sql.conditions import IS_LIVE
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.queries import Query
from cueline.infrastructure.sql.session import AnyRow, Session
from cueline.infrastructure.sql.tables import definitions, queues, workers, workflows
from cueline.infrastructure.sql.task_statements import ADD_QUEUES
from cueline.infrastructure.sql.types import as_it_is, from_microseconds

_QUEUES = Query(select(queues.c.name, queues.c.paused).order_by(queues.c.name))

_WORKERS: Select[Any] = select(*(as_it_is(column) for column in workers.columns))
_WORKER = Query(_WORKERS.where(workers.c.id == bindparam("the_id")))
_LIVE = Query(_WORKERS.where(IS_LIVE))


class SqlWorkflows(WorkflowRepository):
    """Names and versions, each pointing at a document."""

    def __init__(self, session: Session, documents: Documents) -> None:
        self._session = session
        self._documents = documents

    async def add(self, workflow: Workflow) -> bool:
        [digest] = await self._documents.put_many([workflow])
        result = await self._session.execute(
            self._session.insert(workflows).on_conflict_do_nothing().returning(workflows.c.name),
            [{"name": workflow.name, "version": workflow.version, "digest": digest}],
        )
        return result.first is not None

    async def get(self, name: str, version: int) -> Workflow | None:
        return await self._one(
            select(workflows.c.digest).where(
                workflows.c.name == name, workflows.c.version == version
            )
        )

    async def latest(self, name: str) -> Workflow | None:
        return await self._one(
            select(workflows.c.digest)
            .where(workflows.c.name == name)
            .order_by(workflows.c.version.desc())
            .limit(1)
        )

    async def list_all(self) -> list[Workflow]:
        result = await self._session.execute(
            select(workflows.c.digest).order_by(workflows.c.name, workflows.c.version)
        )
        digests = [row.digest for row in result]
        found = await self._documents.read(set(digests))
        return [found[digest] for digest in digests]

    async def _one(self, query: Any) -> Workflow | None:
        row = (await self._session.execute(query)).first
        if row is None:
            return None
        return (await self._documents.read([row.digest]))[row.digest]


class SqlDefinitions(DefinitionRepository):
    """Task definitions by name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put_many(self, new: Sequence[TaskDefinition]) -> None:
        if not new:
            return
        insert = self._session.insert(definitions)
        columns = [column.name for column in definitions.columns if column.name != "name"]
        await self._session.execute(
            insert.on_conflict_do_update(
                index_elements=["name"], set_={name: insert.excluded[name] for name in columns}
            ),
            [_definition_row(definition) for definition in sorted(new, key=lambda d: d.name)],
        )

    async def list_all(self) -> list[TaskDefinition]:
        result = await self._session.execute(select(definitions).order_by(definitions.c.name))
        return [_definition(row) for row in result]


class SqlQueues(QueueRepository):
    """The names and the settings of queues."""

    def __init__(self, session: Session, known: Collection[str]) -> None:
        """`known` are names that are committed already."""
        self._session = session
        self._known = known
        self.new: set[str] = set()
        """Names first seen here; they are known once this is committed."""

    async def note(self, names: Collection[str]) -> None:
        """Have these queues known, before the first task of theirs is."""
        new = {name for name in names if name not in self._known} - self.new
        if new:
            await self._session.write_many(ADD_QUEUES, [(name,) for name in sorted(new)])
            self.new |= new

    async def list_all(self) -> list[Queue]:
        return [Queue(row[0], row[1]) for row in await self._session.fetch(_QUEUES, {})]

    async def save(self, queue: Queue) -> None:
        insert = self._session.insert(queues)
        await self._session.execute(
            insert.on_conflict_do_update(
                index_elements=["name"], set_={"paused": insert.excluded.paused}
            ),
            [{"name": queue.name, "paused": queue.paused}],
        )


class SqlWorkers(WorkerRepository):
    """The workers; renewing a lease touches no index."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, worker: Worker) -> None:
        await self._session.execute(
            self._session.insert(workers),
            [
                {
                    "id": worker.id,
                    "name": worker.name,
                    "queues": list(worker.queues),
                    "slots": worker.slots,
                    "started_at": worker.started_at,
                    "lease_until": worker.lease_until,
                    "state": worker.state.value,
                }
            ],
        )

    async def get(self, id: WorkerId) -> Worker | None:
        found = await self._session.fetch(_WORKER, {"the_id": id})
        return _worker(found[0]) if found else None

    async def save(self, worker: Worker, expected_lease: datetime) -> bool:
        result = await self._session.execute(
            update(workers)
            .where(
                workers.c.id == worker.id,
                workers.c.state == WorkerState.LIVE.value,
                workers.c.lease_until == expected_lease,
            )
            .values(state=worker.state.value, lease_until=worker.lease_until)
        )
        return result.count == 1

    async def live(self) -> list[Worker]:
        return [_worker(row) for row in await self._session.fetch(_LIVE, {})]

    async def search(self, limit: int) -> list[Worker]:
        live_first = workers.c.state != WorkerState.LIVE.value
        result = await self._session.execute(
            _WORKERS.order_by(live_first, workers.c.started_at.desc(), workers.c.id.desc()).limit(
                limit
            )
        )
        return [_worker(row) for row in result]


def _worker(row: Sequence[Any]) -> Worker:
    id, name, queues, slots, started_at, lease_until, state = row
    return Worker(
        id=WorkerId(id),
        name=name,
        queues=tuple(orjson.loads(queues)),
        slots=slots,
        started_at=from_microseconds(started_at),
        lease_until=from_microseconds(lease_until),
        state=WorkerState(state),
    )


def _definition_row(definition: TaskDefinition) -> dict[str, Any]:
    timeout = definition.timeout
    return {
        "name": definition.name,
        "queue": definition.queue,
        "priority": definition.priority.value,
        "retry": rows.retry_document(definition.retry),
        "timeout": timeout.total_seconds() if timeout is not None else None,
        "description": definition.description,
        "input_schema": definition.input_schema,
    }


def _definition(row: AnyRow) -> TaskDefinition:
    return TaskDefinition(
        name=row.name,
        input_schema=row.input_schema,
        queue=row.queue,
        priority=Priority(row.priority),
        retry=rows.retry_policy(row.retry),
        timeout=timedelta(seconds=row.timeout) if row.timeout is not None else None,
        description=row.description,
    )
