"""One process's connection to the database: slow, breakable, and cut off when the process dies."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, cast

from cueline.application.ports.capabilities import Reach, StoreCapabilities
from cueline.application.ports.journal import JournalRepository
from cueline.application.ports.persistence import (
    DefinitionRepository,
    QueueRepository,
    RunRepository,
    Store,
    TaskRepository,
    UnitOfWork,
    WorkerRepository,
    WorkflowRepository,
)
from cueline.application.ports.questions import ANY_TIME, Claimant, DueTask, Since, Taken
from cueline.domain.errors import InvalidInput, Outdated, Unavailable
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Priority, Task
from cueline.infrastructure.memory.tasks import MemoryTasks
from tests.simulation.database import Database, Isolation
from tests.simulation.handlers import INDIGESTIBLE
from tests.simulation.locks import Row

WHOLE: Row = ("database",)


def _new_tasks(new: Sequence[Task]) -> list[Row]:
    return sorted(
        [("task", each.id) for each in new]
        + [("task key", each.spec.key) for each in new if each.spec.key is not None]
    )


LOCKED: dict[str, Callable[..., list[Row]]] = {
    "tasks.add_many": _new_tasks,
    "tasks.add_claimed": _new_tasks,
    "tasks.save_many": lambda changed: [("task", id) for id in sorted(each.id for each in changed)],
    "tasks.set_dispatched": lambda handed: [("task", id) for id in sorted(handed)],
    "runs.add_many": lambda new: sorted(
        [("run", each.id) for each in new]
        + [("run key", each.key) for each in new if each.key is not None]
    ),
    "runs.lock_many": lambda ids: [("run", id) for id in sorted(set(ids))],
    "runs.suppose": lambda runs: [("run", id) for id in sorted(run.id for run in runs)],
    "workflows.add": lambda flow: [("workflow", flow.name, flow.version)],
    "queues.save": lambda queue: [("queue", queue.name)],
    "workers.save": lambda worker, _lease: [("worker", worker.id)],
}
"""Which rows an operation locks, in which order, where writers run side by side."""

CHANGES = {*LOCKED, "tasks.claim_many", "tasks.claim_due", "tasks.set_due"} - {
    "runs.lock_many",
    "runs.suppose",
}
"""What may be called where there is no transaction around it, and changes something."""


def _ids(added: Sequence[Any]) -> set[Any]:
    return {each.id for each in added}


PROMISED: dict[str, Callable[[Sequence[Any]], Any]] = {
    "runs.suppose": lambda _: None,
    "runs.add_many": _ids,
    "runs.save_many": lambda _: None,
    "runs.append_history": lambda _: None,
    "tasks.save_many": lambda _: set(),
    "tasks.add_claimed": _ids,
    "tasks.add_many": _ids,
    "journal.add_attempts": lambda _: None,
    "journal.add_logs": lambda _: None,
}
"""What an optimistic unit of work puts off to its commit, and answers beforehand."""


class Line(Protocol):
    """The way from a process to the database."""

    async def travel(self, what: str) -> None:
        """Take a while; raise `Unavailable` if the way is cut, and `Killed` in a dead process."""
        ...

    def breaks(self, what: str) -> bool:
        """Whether this call is one of those that fail."""
        ...


class StoreConnection(Store):
    """The store as one process reaches it."""

    capabilities = StoreCapabilities(Reach.NETWORK, is_durable=True, joins_transactions=False)

    def __init__(self, database: Database, line: Line) -> None:
        self._database = database
        self._line = line
        self._open: dict[_Transaction, None] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def write(self, *, durable: bool = True) -> UnitOfWork:
        return _Transaction(self._database, self._line, self._open, writable=True)

    def at_once(self) -> UnitOfWork:
        if self._database.isolation is Isolation.ONE_WRITER:
            return self.write()
        return _AtOnce(self._database, self._line, self._open, writable=True)

    def optimistic(self) -> UnitOfWork:
        if self._database.isolation is Isolation.ONE_WRITER:
            return self.write()
        return _InOneGo(self._database, self._line, self._open, writable=True)

    def read(self) -> UnitOfWork:
        return _Transaction(self._database, self._line, self._open, writable=False)

    async def prepare_to_join(self, queues: Collection[str]) -> None:
        """Nothing: there is no joining."""

    def join(self, transaction: object, committed: Callable[[], None]) -> UnitOfWork:
        raise InvalidInput("the simulated store takes part in no transaction")

    def cut(self) -> None:
        """Undo what is under way, as the server does when it finds the client gone."""
        for transaction in list(self._open):
            transaction.undo()


class _Transaction(UnitOfWork):
    tasks: TaskRepository
    runs: RunRepository
    workflows: WorkflowRepository
    definitions: DefinitionRepository
    queues: QueueRepository
    workers: WorkerRepository
    journal: JournalRepository

    def __init__(
        self, database: Database, line: Line, opened: dict[_Transaction, None], *, writable: bool
    ) -> None:
        self._database = database
        self._line = line
        self._opened = opened
        self._writable = writable
        self._inner = database.begin(writable=writable)

    def __getattr__(self, name: str) -> Any:
        """A repository, made when it is asked for: most transactions use one or two of them."""
        repository = _Repository(self, name, getattr(self._inner, name))
        setattr(self, name, repository)
        return repository

    async def __aenter__(self) -> Self:
        await self._line.travel("begin")
        _at_once(self._inner.__aenter__())
        self._opened[self] = None
        try:
            if self._writable and self._database.isolation is Isolation.ONE_WRITER:
                await self._database.locks.acquire(WHOLE, self)
        except BaseException:
            self.undo()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.undo()

    async def commit(self) -> None:
        await self._line.travel("commit")
        self._require_open()
        if self._line.breaks("before commit"):
            self.undo()
            raise Unavailable("the store", "the connection broke before the commit")
        _at_once(self._inner.commit())
        self.undo()  # nothing is left to undo: it gives the locks back
        if self._line.breaks("after commit"):
            raise Unavailable("the store", "the connection broke after the commit")
        await self._line.travel("committed")

    async def execute(
        self,
        name: str,
        operation: Callable[..., Awaitable[Any]],
        args: Sequence[Any],
    ) -> Any:
        """Have one statement carried out."""
        await self._line.travel(name)
        self._require_open()
        return await self._carry_out(name, operation, args)

    async def _carry_out(
        self,
        name: str,
        operation: Callable[..., Awaitable[Any]],
        args: Sequence[Any],
    ) -> Any:
        if name == "tasks.save_many" and any(map(_is_indigestible, args[0])):
            raise ValueError("the store does not take this")
        if self._database.isolation is Isolation.READ_COMMITTED:
            if name == "tasks.due":
                return await self._due(operation, *args)
            if name in {"tasks.set_due", "tasks.claim_many"}:
                args = (await self._hold(args[0]), *args[1:])
            if name == "tasks.claim_due":
                return await self._claim_due(cast("Any", operation).__self__, *args)
            for row in LOCKED[name](*args) if name in LOCKED else ():
                await self._database.locks.acquire(row, self)
                self._require_open()
        return _at_once(cast("Coroutine[Any, Any, Any]", operation(*args)))

    async def _due(
        self,
        operation: Callable[..., Awaitable[list[DueTask]]],
        queue: str,
        now: Any,
        limit: int,
        since: Since = ANY_TIME,
    ) -> list[DueTask]:
        """What others have locked is passed over."""
        found = await operation(queue, now, 1000, since)
        free = await self._hold([due.id for due in found], limit)
        return [due for due in found if due.id in free]

    async def _claim_due(
        self,
        tasks: MemoryTasks,
        queue: str,
        claimant: Claimant,
        now: datetime,
        limit: int,
        urgency: Priority = Priority.LOW,
        since: Since = ANY_TIME,
    ) -> Taken:
        """What others have locked is passed over."""
        found = await self._due(tasks.due, queue, now, limit, since)
        due = [each for each in found if each.priority <= urgency]
        return Taken.of(await tasks.claim_many([each.id for each in due], claimant, now), due)

    async def _hold(self, ids: Collection[TaskId], limit: int | None = None) -> set[TaskId]:
        """Lock those that nobody else has locked, up to a limit in the order given."""
        locks = self._database.locks
        free = [id for id in ids if locks.is_free(("task", id), self)][:limit]
        for id in free:
            await locks.acquire(("task", id), self)
        return set(free)

    def undo(self) -> None:
        """End the transaction, whatever its state."""
        if self in self._opened:
            del self._opened[self]
            _at_once(self._inner.__aexit__(None, None, None))
            self._database.locks.release(self)

    def _require_open(self) -> None:
        if self not in self._opened:
            raise Unavailable("the store", "the server ended this transaction")


class _AtOnce(_Transaction):
    """No transaction: each statement is one of its own, begun and committed by the server."""

    async def __aenter__(self) -> Self:
        self._opened[self] = None
        return self

    async def commit(self) -> None:
        self._require_open()

    async def execute(
        self,
        name: str,
        operation: Callable[..., Awaitable[Any]],
        args: Sequence[Any],
    ) -> Any:
        await self._line.travel(name)
        async with self._statement(changes=name in CHANGES) as inner:
            return await self._carry_out(name, _operation(inner, name), args)

    @asynccontextmanager
    async def _statement(self, *, changes: bool) -> AsyncIterator[UnitOfWork]:
        """What the server does with a statement: all of it, or nothing."""
        self._require_open()
        if changes and self._line.breaks("before commit"):
            raise Unavailable("the store", "the connection broke before the commit")
        inner = self._database.begin(writable=True)
        _at_once(inner.__aenter__())
        try:
            yield inner
            if changes:
                _at_once(inner.commit())
        finally:
            _at_once(inner.__aexit__(None, None, None))
            self._database.locks.release(self)
        if changes:
            if self._line.breaks("after commit"):
                raise Unavailable("the store", "the connection broke after the commit")
            await self._line.travel("committed")

    def undo(self) -> None:
        """End it. What was done is done."""
        if self._opened.pop(self, self) is None:
            self._database.locks.release(self)


class _InOneGo(_AtOnce):
    """Everything in one statement at the commit, all of it or nothing, as PostgreSQL does it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._promised: dict[str, Sequence[Any]] = {}

    async def execute(
        self,
        name: str,
        operation: Callable[..., Awaitable[Any]],
        args: Sequence[Any],
    ) -> Any:
        if name in self._promised or (name in CHANGES | {*LOCKED} and name not in PROMISED):
            raise Outdated("this takes a transaction")
        if name not in PROMISED:
            return await super().execute(name, operation, args)
        [self._promised[name]] = args
        return PROMISED[name](*args)

    async def commit(self) -> None:
        await self._line.travel("commit")
        try:
            async with self._statement(changes=True) as inner:
                for name in sorted(self._promised, key=list(PROMISED).index):
                    rows = self._rows(name)
                    answer = await self._carry_out(name, _operation(inner, name), [rows])
                    if answer != PROMISED[name](rows):
                        raise Outdated("something is not as it was")
        except Outdated:
            self._database.outdated += 1
            raise

    def _rows(self, name: str) -> Sequence[Any]:
        """What an operation is about. A run that is supposed and not saved is never compared."""
        if name != "runs.suppose":
            return self._promised[name]
        saved = {run.id for run in self._promised.get("runs.save_many", ())}
        return [run for run in self._promised[name] if run.id in saved]


class _Repository:
    """Sends each operation of a repository down the line."""

    def __init__(self, transaction: _Transaction, name: str, inner: object) -> None:
        self._transaction = transaction
        self._name = name
        self._inner = inner

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            statement = getattr(self._inner, operation)
            name = f"{self._name}.{operation}"
            return await self._transaction.execute(name, statement, args)

        setattr(self, operation, call)
        return call


def _operation(inner: UnitOfWork, name: str) -> Callable[..., Awaitable[Any]]:
    repository, _, call = name.partition(".")
    operation: Callable[..., Awaitable[Any]] = getattr(getattr(inner, repository), call)
    return operation


def _is_indigestible(task: Task) -> bool:
    return isinstance(task.output, dict) and INDIGESTIBLE in task.output


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what the memory store does, which never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the memory store waited")
