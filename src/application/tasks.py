"""Submitting tasks, and steering those that have been submitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from cueline.application.batching import GroupCommit
from cueline.application.catalogue import Catalogue
from cueline.application.changes import Announcer, Changes
from cueline.application.outcomes import Cancelled
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.runtime import Clock, IdGenerator, InputChecker
from cueline.application.settle import SettleTasks
from cueline.domain.definition import TaskDefinition
from cueline.domain.duration import LONGEST
from cueline.domain.errors import (
    Conflict,
    InvalidInput,
    KeyReused,
    NotFound,
    Problem,
    UnknownTask,
)
from cueline.domain.identifiers import RunId, TaskId, check_name, check_text
from cueline.domain.json import JsonObject, require_json
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import Priority, Task, TaskSpec, TaskState

LONGEST_KEY = 255
MOST_TAGS = 20
LONGEST_TAG = 100


@dataclass(frozen=True, slots=True)
class Submission:
    """A request for a task. What is None is taken from the task's definition."""

    name: str
    input: JsonObject
    queue: str | None = None
    priority: Priority | None = None
    delay: timedelta | None = None
    run_at: datetime | None = None
    retry: RetryPolicy | None = None
    timeout: timedelta | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submitted:
    """The task that stands for a submission; `created` is False if a key brought an earlier one."""

    task: Task
    created: bool


class SubmitTasks:
    """Stores tasks, all or none, and hands to the broker those for which there is room.

    A submission with a key that is known answers the task which has it, unless that one was asked
    for differently: then `KeyReused` is raised. Wrong names and inputs raise `InvalidInput` with
    every problem found, and nothing is stored.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        checker: InputChecker,
        announcer: Announcer,
        clock: Clock,
        ids: IdGenerator,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._checker = checker
        self._announcer = announcer
        self._clock = clock
        self._ids = ids
        self._together = GroupCommit[Task, Submitted](partial(self.write, each_alone=True))

    async def one(self, submission: Submission) -> Submitted:
        """Submit one task, in a transaction shared with others that arrive at the same time."""
        [task] = await self.prepare([submission])
        return await self._together(task)

    async def __call__(self, submissions: Sequence[Submission]) -> list[Submitted]:
        """Submit a batch in one transaction, all or none; the answers are in its order."""
        results = await self.write(await self.prepare(submissions))
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if not isinstance(result, Exception)]

    async def prepare(self, submissions: Sequence[Submission]) -> list[Task]:
        """Check submissions and make the tasks of them, storing nothing yet."""
        now = self._clock.now()
        names = dict.fromkeys(submission.name for submission in submissions)
        definitions = {name: await self._catalogue.find(name) for name in names}
        known = [] if all(definitions.values()) else await self._catalogue.names()
        problems: list[Problem] = []
        tasks: list[Task] = []
        for index, submission in enumerate(submissions):
            try:
                if (definition := definitions[submission.name]) is None:
                    raise UnknownTask(submission.name, known)
                tasks.append(self._task(submission, definition, now))
            except InvalidInput as error:
                if len(submissions) == 1:
                    raise
                problems.extend(Problem(f"[{index}].{p.path}", p.message) for p in error.problems)
        if problems:
            raise InvalidInput("the batch holds submissions that cannot be used", problems)
        return tasks

    async def write(
        self, tasks: Sequence[Task], *, each_alone: bool = False
    ) -> list[Submitted | Exception]:
        """Store prepared tasks in one transaction; a reused key is answered in its place.

        With `each_alone` the others are stored all the same, as independent callers expect whose
        submissions merely share a transaction; otherwise one conflict means that none is stored.
        """
        changes = Changes()
        await self._announcer.prepare({task.spec.queue for task in tasks})
        is_one_call = each_alone or not any(task.spec.key for task in tasks)
        async with self._store.at_once() if is_one_call else self._store.write() as uow:
            results = await self._add(uow, tasks, self._announcer.reserve)
            if each_alone or not any(isinstance(result, Exception) for result in results):
                await uow.commit()
                changes.ready = [
                    result.task
                    for result in results
                    if isinstance(result, Submitted) and result.created
                ]
        changes.moved = changes.ready
        await self._announcer.announce(changes)
        return results

    async def prepare_to_join(self, submissions: Sequence[Submission]) -> list[Task]:
        """`prepare`, for tasks that are then to be stored by `join`."""
        tasks = await self.prepare(submissions)
        await self._store.prepare_to_join({task.spec.queue for task in tasks})
        return tasks

    async def join(
        self, transaction: object, tasks: Sequence[Task], committed: Callable[[], None]
    ) -> list[Submitted]:
        """Store prepared tasks in a transaction of the caller's own; its commit decides on them.

        `committed` is called after that commit. Nothing is published before: it would be a hint
        about a task that nobody can see yet. `InvalidInput` if the store cannot take part in the
        transaction. All or none; a failure leaves the transaction for the caller to undo.
        """
        async with self._store.join(transaction, committed) as uow:
            results = await self._add(uow, tasks, list)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if not isinstance(result, Exception)]

    async def _add(
        self,
        uow: UnitOfWork,
        tasks: Sequence[Task],
        reserve: Callable[[Sequence[Task]], list[Task]],
    ) -> list[Submitted | Exception]:
        known = await self._holders(uow, tasks)
        new = [task for task in tasks if task.spec.key not in known or task.spec.key is None]
        reserved = {task.id: task for task in reserve(new)}
        added = await uow.tasks.add_many([reserved[task.id] for task in new])
        if len(added) < len(new):  # a key was used twice in this batch, or elsewhere just now
            known = await self._holders(uow, tasks)
        return [
            Submitted(reserved[task.id], created=True) if task.id in added else _repeat(task, known)
            for task in tasks
        ]

    @staticmethod
    async def _holders(uow: UnitOfWork, tasks: Sequence[Task]) -> dict[str, Task]:
        keys = {task.spec.key for task in tasks if task.spec.key is not None}
        if not keys:
            return {}
        return {task.spec.key: task for task in await uow.tasks.by_keys(keys) if task.spec.key}

    def _task(self, submission: Submission, definition: TaskDefinition, now: datetime) -> Task:
        problems = list(_option_problems(submission))
        if problems:
            raise InvalidInput(f"task {submission.name!r} cannot be submitted so", problems)
        require_json(submission.input, "input")
        if misfits := self._checker.check(definition, submission.input):
            raise InvalidInput(f"the input does not fit task {submission.name!r}", misfits)
        spec = TaskSpec(
            id=TaskId(self._ids.new()),
            name=submission.name,
            input=submission.input,
            created_at=now,
            queue=submission.queue or definition.queue,
            priority=(definition.priority if submission.priority is None else submission.priority),
            retry=submission.retry or definition.retry,
            timeout=definition.timeout if submission.timeout is None else submission.timeout,
            key=submission.key,
            tags=submission.tags,
        )
        run_at = submission.run_at or (now + submission.delay if submission.delay else now)
        return Task.submitted(spec, max(run_at.astimezone(UTC), now))


def _option_problems(submission: Submission) -> list[Problem]:
    problems: list[Problem] = []
    if submission.queue is not None and (problem := check_name(submission.queue, "queue")):
        problems.append(problem)
    if submission.delay is not None and submission.run_at is not None:
        problems.append(Problem("run_at", "give a delay or a time, not both"))
    if submission.run_at is not None and submission.run_at.tzinfo is None:
        problems.append(Problem("run_at", "say in which time zone, as in 2026-01-31T08:00:00Z"))
    if submission.timeout is not None and submission.timeout <= timedelta(0):
        problems.append(Problem("timeout", "use more than zero"))
    if submission.delay is not None and submission.delay > LONGEST:
        problems.append(Problem("delay", f"use {LONGEST.days} days at most"))
    if submission.key is not None and (problem := check_text(submission.key, "key", LONGEST_KEY)):
        problems.append(problem)
    if len(submission.tags) > MOST_TAGS:
        problems.append(Problem("tags", f"use {MOST_TAGS} at most"))
    problems.extend(
        problem
        for index, tag in enumerate(submission.tags)
        if (problem := check_text(tag, f"tags[{index}]", LONGEST_TAG))
    )
    return problems


def _repeat(task: Task, known: dict[str, Task]) -> Submitted | Exception:
    holder = known.get(task.spec.key or "")
    if holder is None:
        return Conflict(f"task {task.id} exists already")
    if not holder.spec.asks_the_same_as(task.spec):
        return KeyReused(task.spec.key or "", f"task {holder.id}")
    return Submitted(holder, created=False)


class SteerTasks:
    """What an operator does to tasks: cancel, retry, promote. Each takes and answers a batch.

    Raises `NotFound` for an unknown id, `IllegalTransition` for a task whose state does not allow
    it, and then changes none of the batch.
    """

    def __init__(
        self, store: Store, settle: SettleTasks, announcer: Announcer, clock: Clock
    ) -> None:
        self._store = store
        self._settle = settle
        self._announcer = announcer
        self._clock = clock

    async def cancel(self, ids: Sequence[TaskId]) -> list[Task]:
        """Cancel tasks, queued or running. A worker at one is told, and its result is refused."""
        for _ in range(_TRIES):
            tasks = await self._read(ids)
            changes = Changes()
            async with self._store.write() as uow:
                outcomes = [Cancelled(task) for task in tasks]
                settled = await self._settle.within(uow, outcomes, self._clock.now(), changes)
                if not settled.refused:
                    await uow.commit()
            if not settled.refused:
                await self._announcer.announce(changes)
                return list(settled.accepted)
        raise _contended(ids)

    async def retry(self, ids: Sequence[TaskId]) -> list[Task]:
        """Give tasks that failed or were cancelled a new life, with all their attempts before them.

        A step's task cannot be retried alone, as its run has drawn its conclusions: retry the run.
        """

        def requeue(task: Task, now: datetime) -> Task:
            if task.spec.origin is not None:
                raise Conflict(
                    f"task {task.id} is a step of run {task.spec.origin.run_id}: retry the run"
                )
            return task.requeue(now)

        return await self._move(ids, requeue)

    async def promote(self, ids: Sequence[TaskId]) -> list[Task]:
        """Run tasks now that are scheduled for later or wait for a retry."""
        return await self._move(ids, Task.promote)

    async def _move(
        self, ids: Sequence[TaskId], change: Callable[[Task, datetime], Task]
    ) -> list[Task]:
        for _ in range(_TRIES):
            tasks = await self._read(ids)
            now = self._clock.now()
            moved = self._announcer.reserve([change(task, now) for task in tasks])
            async with self._store.write() as uow:
                await uow.runs.lock_many(_runs_of(tasks))  # always before their tasks
                stale = await uow.tasks.save_many(moved)
                if not stale:
                    await uow.commit()
            if not stale:
                ready = [task for task in moved if task.state is TaskState.QUEUED]
                await self._announcer.announce(Changes(ready=ready, moved=moved))
                return moved
        raise _contended(ids)

    async def _read(self, ids: Sequence[TaskId]) -> list[Task]:
        async with self._store.read() as uow:
            found = {task.id: task for task in await uow.tasks.get_many(ids)}
        for id in ids:
            if id not in found:
                raise NotFound("task", id)
        return [found[id] for id in dict.fromkeys(ids)]


def _runs_of(tasks: Sequence[Task]) -> set[RunId]:
    return {task.spec.origin.run_id for task in tasks if task.spec.origin is not None}


_TRIES = 5
"""How often a steering request is tried when the task keeps moving at the same moment."""


def _contended(ids: Sequence[TaskId]) -> Conflict:
    return Conflict(f"task {', '.join(ids)} kept changing meanwhile; try again")
