"""The store, which remembers every fact.

All repositories are batch-shaped: they take and give sequences, so that what many tasks need at the
same moment costs one round trip. What they give are copies; changing the store takes a `save`.

Errors, everywhere: `Unavailable` when the store does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import ClassVar, Protocol, Self

from cueline.application.ports.capabilities import StoreCapabilities
from cueline.application.ports.journal import JournalRepository
from cueline.application.ports.questions import (
    ANY_TIME,
    Claimant,
    DueTask,
    Page,
    RunFilter,
    Since,
    Taken,
    TaskFilter,
)
from cueline.domain.definition import TaskDefinition
from cueline.domain.events import Event
from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.queue import Queue
from cueline.domain.task import Priority, Task
from cueline.domain.worker import Worker
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.run import Run


class TaskRepository(Protocol):
    """The tasks."""

    async def add_many(self, tasks: Sequence[Task]) -> set[TaskId]:
        """Insert tasks; answer the ids of those inserted.

        A task whose id or key is already taken is left out, and the one that holds it is untouched.
        """
        ...

    async def add_claimed(self, tasks: Sequence[Task]) -> set[TaskId]:
        """`add_many` for tasks that a worker claims as they come into being.

        Those of a worker that is not live, or of a queue that is paused, are left out, too.
        """
        ...

    async def get_many(self, ids: Collection[TaskId]) -> list[Task]:
        """The tasks with these ids, in no particular order; unknown ids are left out.

        So is what a later version wrote and this one cannot read.
        """
        ...

    async def by_keys(self, keys: Collection[str]) -> list[Task]:
        """The tasks that were submitted with these idempotency keys."""
        ...

    async def save_many(self, tasks: Sequence[Task]) -> set[TaskId]:
        """Write the state of tasks that went through one transition each; answer the *stale* ones.

        A task is written only if the store still holds the version before it. Stale tasks are left
        exactly as the store has them. The spec of a task never changes and is not written. A task
        may occur once only.
        """
        ...

    async def claim_many(
        self, ids: Collection[TaskId], claimant: Claimant, now: datetime
    ) -> list[Task]:
        """Claim those of these tasks that are ready, and answer them as `Task.claim` made them.

        Left alone are those that the claimant does not serve or cannot handle, those of a queue
        that is paused, those that another unit of work is changing at this moment (it never waits),
        and all if the claimant is not live. In no particular order. What this version cannot read
        is put off as long as the recovery ever does.
        """
        ...

    async def claim_due(
        self,
        queue: str,
        claimant: Claimant,
        now: datetime,
        limit: int,
        urgency: Priority = Priority.LOW,
        since: Since = ANY_TIME,
    ) -> Taken:
        """`claim_many` for what `due` gives, but for what is less urgent than `urgency`."""
        ...

    async def due(
        self, queue: str, now: datetime, limit: int, since: Since = ANY_TIME
    ) -> list[DueTask]:
        """Queued tasks whose `dispatch_at` has come: by priority, then the longest due first.

        A queue that is paused has none. Of a priority in `since`, what was due before is left out.
        It is for a unit of work that writes: until that ends they are its own, and what others have
        made their own is passed over. So several dispatchers never hand out the same task.
        """
        ...

    async def due_queues(self, now: datetime, since: datetime | None = None) -> set[str]:
        """The queues in which something is due, and fell due at `since` or later."""
        ...

    async def next_due(self, now: datetime) -> datetime | None:
        """The earliest `dispatch_at` that is still ahead, over all queues that are not paused."""
        ...

    async def set_dispatched(self, handed: Mapping[TaskId, datetime]) -> None:
        """Note that queued tasks were handed to the broker, and when to do it again if need be.

        It is a hint, not a transition: no version moves, and a task that is no longer queued, or is
        already set for later, is left alone.
        """
        ...

    async def set_due(self, ids: Collection[TaskId], now: datetime) -> None:
        """Make queued tasks due now, after a message about them could not be sent.

        One that another is changing at this moment may be left alone.
        """
        ...

    async def orphans(self, limit: int) -> list[Task]:
        """Running tasks whose worker is not live."""
        ...

    async def held_by(self, worker_id: WorkerId) -> dict[TaskId, int]:
        """The running tasks that a worker holds, with their present versions."""
        ...

    async def versions(self, ids: Collection[TaskId]) -> dict[TaskId, int]:
        """The present version of each task that exists."""
        ...

    async def search(self, wanted: TaskFilter, page: Page, now: datetime) -> list[Task]:
        """Tasks that fit, newest first (by id); `page.after` is the last id seen."""
        ...

    async def count_by_queue(self, now: datetime) -> dict[str, dict[str, int]]:
        """For each queue the number of tasks by state, `scheduled` counted apart from `queued`."""
        ...


class RunRepository(Protocol):
    """The runs of workflows, each with its steps."""

    async def add_many(self, runs: Sequence[Run]) -> set[RunId]:
        """Insert runs; answer the ids of those inserted. One whose key is taken is left out."""
        ...

    async def lock_many(self, ids: Collection[RunId]) -> list[Run]:
        """The runs with these ids, locked in id order until the transaction ends.

        Whoever advances a run locks it first; two reports about one run are thus taken one after
        the other, and a join cannot be missed or made twice.
        """
        ...

    async def suppose(self, runs: Sequence[Run]) -> None:
        """Take runs that were read before for what they still are, instead of `lock_many`.

        A run is compared when it is saved, if not now: whoever writes anything because of it saves
        it, too, changed or not. If it has moved on, this raises `Outdated`, or that, or at the
        latest the commit.
        """
        ...

    async def get_many(self, ids: Collection[RunId]) -> list[Run]:
        """The runs with these ids, to look at; unknown ids are left out."""
        ...

    async def of_claimed(self, tasks: Collection[Task]) -> list[Run]:
        """The runs of those of these tasks that are all that is under way of their run.

        The tasks were claimed in this unit of work, and the runs came along as far as they could:
        nothing more is asked for. They may have been read a little before the claim.
        """
        ...

    async def by_keys(self, keys: Collection[str]) -> list[Run]:
        """The runs that were started with these idempotency keys."""
        ...

    async def save_many(self, runs: Sequence[Run]) -> None:
        """Write runs that this unit of work has locked or supposes, at whatever version now."""
        ...

    async def search(self, wanted: RunFilter, page: Page) -> list[Run]:
        """Runs that fit, newest first (by id)."""
        ...

    async def append_history(self, events: Sequence[Event]) -> None:
        """Append to the histories of runs. (id, sequence) is unique."""
        ...

    async def history(self, run_id: RunId, after: int, limit: int) -> list[Event]:
        """The history of a run beyond the sequence `after`, in order."""
        ...


class WorkflowRepository(Protocol):
    """The workflow definitions. A version, once registered, never changes."""

    async def add(self, workflow: Workflow) -> bool:
        """Register a version; False if that version exists already, whatever it says."""
        ...

    async def get(self, name: str, version: int) -> Workflow | None:
        """A version."""
        ...

    async def latest(self, name: str) -> Workflow | None:
        """The highest version."""
        ...

    async def list_all(self) -> list[Workflow]:
        """Every version of every workflow, by name, then version."""
        ...


class DefinitionRepository(Protocol):
    """What is known of tasks by name, as the applications that were started have said."""

    async def put_many(self, definitions: Sequence[TaskDefinition]) -> None:
        """Register definitions; the last word on a name holds."""
        ...

    async def list_all(self) -> list[TaskDefinition]:
        """All definitions, by name."""
        ...


class QueueRepository(Protocol):
    """The queues that have been given settings; any other has the standard ones."""

    async def list_all(self) -> list[Queue]:
        """The queues with settings of their own, by name."""
        ...

    async def save(self, queue: Queue) -> None:
        """Write a queue's settings."""
        ...


class WorkerRepository(Protocol):
    """The workers and their leases."""

    async def add(self, worker: Worker) -> None:
        """Register a worker."""
        ...

    async def get(self, id: WorkerId) -> Worker | None:
        """A worker."""
        ...

    async def save(self, worker: Worker, expected_lease: datetime) -> bool:
        """Write a worker's state and lease if its lease and liveness are as they were read.

        False when it was renewed, stopped or evicted in between.
        """
        ...

    async def live(self) -> list[Worker]:
        """The workers that count as live, their leases lapsed or not."""
        ...

    async def search(self, limit: int) -> list[Worker]:
        """The workers, live ones first, then the most recently started."""
        ...


class UnitOfWork(Protocol):
    """One transaction: a new one for each call, rolled back on leaving unless `commit` was said.

    Entering begins it, leaving ends it. After `commit` nothing more may be done in it. Writers are
    isolated from one another at least as READ COMMITTED with row locks; a reader sees nothing that
    is not committed. Not safe to share between concurrent callers.

    A call that answers nothing may take effect, and be refused, as late as at the next one that
    would see it, or at the commit: a store may write several things in one go.
    """

    tasks: TaskRepository
    runs: RunRepository
    workflows: WorkflowRepository
    definitions: DefinitionRepository
    queues: QueueRepository
    workers: WorkerRepository
    journal: JournalRepository

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def commit(self) -> None:
        """Make what was done permanent and visible to others."""
        ...


class Store(Protocol):
    """Where units of work come from. Safe for concurrent use within one event loop."""

    capabilities: ClassVar[StoreCapabilities]

    async def open(self) -> None:
        """Begin. Constructors do no I/O; whatever is needed is done here."""
        ...

    async def close(self) -> None:
        """End; closing twice is closing once. Units of work that are open may fail."""
        ...

    def write(self, *, durable: bool = True) -> UnitOfWork:
        """A unit of work that may change things.

        One that is not `durable` does not wait for the disk: a loss of power may undo it, although
        a crash of the process does not. It is for what the system mends by itself: when a message
        was sent, when a lease was renewed.
        """
        ...

    def at_once(self) -> UnitOfWork:
        """`write`, for when a single call changes something: that needs no transaction around it.

        The call takes effect as a whole, when it is made or at the commit, as suits the store.
        """
        return self.write()

    def optimistic(self) -> UnitOfWork:
        """`write`, for what should go well: no task is stale or there already, no run moved on.

        It may answer so without asking the store, and raise `Outdated`, at the latest at the
        commit, if anything was otherwise. Then nothing was written, and whatever was decided by
        those answers is void: do it anew in `write`. It raises it, too, for what it cannot put off:
        locking, claiming, reading what it has just written.
        """
        return self.write()

    def read(self) -> UnitOfWork:
        """A unit of work that only looks. It never waits for a writer."""
        ...

    async def prepare_to_join(self, queues: Collection[str]) -> None:
        """Do beforehand what tasks of these queues need that would hold up others in a `join`."""
        ...

    def join(self, transaction: object, committed: Callable[[], None]) -> UnitOfWork:
        """A unit of work inside a transaction of the caller's own, which alone decides its end.

        It is never to be committed itself. `committed` is called right after the caller's commit,
        in the caller's thread, and never after a rollback. Entering raises `InvalidInput` if there
        is no working together: a store that cannot, or a transaction on another database. It may
        be used on any loop, and with a transaction that does not await, without any.
        """
        ...
