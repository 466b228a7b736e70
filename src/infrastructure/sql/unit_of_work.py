"""The unit of work over any of our databases: the repositories on one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self

from cueline.application.ports.persistence import UnitOfWork
from cueline.domain.workflow.definition import Workflow
from cueline.infrastructure.sql.documents import Documents
from cueline.infrastructure.sql.journal import SqlJournal
from cueline.infrastructure.sql.registry import SqlDefinitions, SqlQueues, SqlWorkers, SqlWorkflows
from cueline.infrastructure.sql.runs import SqlRuns
from cueline.infrastructure.sql.session import Session
from cueline.infrastructure.sql.tasks import SqlTasks


class Transaction(Protocol):
    """A transaction on a connection that its user has alone until `end`."""

    @property
    def session(self) -> Session:
        """Where statements are executed."""
        ...

    async def commit(self) -> None:
        """Keep what was done."""
        ...

    async def end(self) -> None:
        """Undo what was not committed, and give the connection back, even if cancelled."""
        ...


class Memory:
    """What a process may remember of the database because it can never become false."""

    def __init__(self) -> None:
        self.documents: dict[str, Workflow] = {}
        self.queues: set[str] = set()


class SqlUnitOfWork(UnitOfWork):
    """One transaction, begun on entering."""

    def __init__(self, begin: Callable[[], Awaitable[Transaction]], memory: Memory) -> None:
        self._begin = begin
        self._memory = memory
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> Self:
        self._transaction = transaction = await self._begin()
        self.session = session = transaction.session
        self._documents = documents = Documents(session, self._memory.documents)
        self.queues: SqlQueues = SqlQueues(session, self._memory.queues)
        self.runs = SqlRuns(session, documents)
        self.tasks = SqlTasks(session, self.queues, self.runs)
        self.workflows = SqlWorkflows(session, documents)
        self.definitions = SqlDefinitions(session)
        self.workers = SqlWorkers(session)
        self.journal = SqlJournal(session)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.end()

    async def commit(self) -> None:
        """Make it permanent."""
        if self._transaction is None:
            raise RuntimeError("the unit of work is not open")
        await self._transaction.commit()
        self._memory.queues |= self.queues.new
        self._documents.committed()
