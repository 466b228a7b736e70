"""What can be done with tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.questions import Claimant, DueTask, Page, Since, Taken, TaskFilter
from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId, WorkerId
from cueline.domain.json import Json
from cueline.domain.task import TRANSITIONS, Priority, Task, TaskEvent, TaskState
from tests.integration.three_stores import drawing as some
from tests.integration.three_stores.everything import by_id, counted, ordered
from tests.integration.three_stores.machine import Machine


@dataclass(frozen=True)
class Move:
    """One of the transitions that a task's state allows, and what goes with it.

    With an `error` it is saved under a version that is not the next: a stale one, or none yet.
    """

    choice: int
    worker: WorkerId
    output: Json
    failure: Failure
    delay: timedelta
    error: int

    def of(self, task: Task, now: datetime) -> Task | None:
        """The task as it is to be saved, if anything can still happen to it."""
        after = self._after(task, now)
        return after and replace(after, version=after.version + self.error)

    def _after(self, task: Task, now: datetime) -> Task | None:
        allowed = list(TRANSITIONS[task.state])
        if not allowed:
            return None
        match allowed[self.choice % len(allowed)]:
            case TaskEvent.CLAIM:
                return task.claim(self.worker, now)
            case TaskEvent.SUCCEED:
                return task.succeed(self.output, now)
            case TaskEvent.RETRY | TaskEvent.FAIL:
                return task.fail(self.failure, now, 0.5)
            case TaskEvent.SNOOZE:
                return task.snooze(self.delay, now)
            case TaskEvent.RELEASE:
                return task.release()
            case TaskEvent.CANCEL:
                return task.cancel(now)
            case TaskEvent.PROMOTE:
                return task.promote(now)
            case TaskEvent.REQUEUE:
                return task.requeue(now)


moves = st.builds(
    Move,
    st.integers(0, 5),
    some.worker_ids,
    some.json_values,
    some.failures,
    some.durations,
    st.sampled_from([0, 0, 0, 0, -1, 1]),
)


claimants = st.builds(
    Claimant, some.worker_ids, some.several(some.queues), some.several(some.names)
)
beginnings = st.dictionaries(st.sampled_from(Priority), some.moments)


class TaskRules(Machine):
    # --- changing ---------------------------------------------------------------------------------

    @initialize(tasks=st.lists(some.tasks, min_size=2, max_size=4, unique_by=lambda task: task.id))
    def begin_with_tasks(self, tasks: list[Task]) -> None:
        self.add_tasks(tasks)

    @rule(tasks=st.lists(some.tasks, max_size=4, unique_by=lambda task: task.id))
    def add_tasks(self, tasks: list[Task]) -> None:
        self.write(lambda uow: uow.tasks.add_many(tasks))

    @rule(
        tasks=st.lists(some.tasks, max_size=4, unique_by=lambda task: task.id),
        worker=some.worker_ids,
    )
    def add_tasks_that_are_claimed_at_once(self, tasks: list[Task], worker: WorkerId) -> None:
        """Some of the same unit of work, and the rest unclaimed, as of a run that goes on."""

        async def add(uow: UnitOfWork) -> tuple[set[TaskId], set[TaskId]]:
            claimed = [
                task.claim(worker, self.now) for task in tasks if task.state is TaskState.QUEUED
            ]
            taken = await uow.tasks.add_claimed(claimed)
            return taken, await uow.tasks.add_many([task for task in tasks if task.id not in taken])

        self.write(add)

    @rule(id=some.task_ids, move=moves)
    def move_a_task(self, id: TaskId, move: Move) -> None:
        self._move({id: move})

    @rule(wanted=st.dictionaries(some.task_ids, moves, min_size=1, max_size=4))
    def move_tasks(self, wanted: dict[TaskId, Move]) -> None:
        self._move(wanted)

    def _move(self, wanted: dict[TaskId, Move]) -> None:
        """Read them, and save what becomes of them, a little later."""
        self.now += timedelta(seconds=3)

        async def move(uow: UnitOfWork) -> tuple[list[Task], set[TaskId]]:
            found = by_id(await uow.tasks.get_many(wanted))
            moved = [after for task in found if (after := wanted[task.id].of(task, self.now))]
            return found, await uow.tasks.save_many(moved)

        self.write(move)

    @rule(ids=some.several(some.task_ids), claimant=claimants)
    def claim_tasks_that_were_hinted_at(self, ids: list[TaskId], claimant: Claimant) -> None:
        """The worker may not be live, the queue paused, the task another's."""

        async def claim(uow: UnitOfWork) -> list[Task]:
            return by_id(await uow.tasks.claim_many(ids, claimant, self.now))

        self.write(claim)

    @rule(
        queue=some.queues,
        limit=some.limits,
        claimant=claimants,
        moment=some.soon,
        urgency=st.sampled_from(Priority),
        since=beginnings,
    )
    def claim_from_a_backlog(
        self,
        queue: str,
        limit: int,
        claimant: Claimant,
        moment: datetime,
        urgency: Priority,
        since: Since,
    ) -> None:
        async def claim(uow: UnitOfWork) -> Taken:
            taken = await uow.tasks.claim_due(queue, claimant, moment, limit, urgency, since)
            return replace(taken, claimed=by_id(taken.claimed))

        self.write(claim)

    @rule(queue=some.queues, limit=some.limits, again=some.moments, sent=st.integers(0, 4))
    def dispatch(self, queue: str, limit: int, again: datetime, sent: int) -> None:
        """Take what is due, as the dispatcher does; all but the first `sent` cannot be sent."""

        async def take(uow: UnitOfWork) -> list[DueTask]:
            found = await uow.tasks.due(queue, self.now, limit)
            await uow.tasks.set_dispatched(dict.fromkeys([due.id for due in found], again))
            await uow.tasks.set_due([due.id for due in found[sent:]], self.now)
            return found

        self.write(take)

    @rule(
        handed=st.dictionaries(some.task_ids, some.moments, max_size=4),
        back=some.several(some.task_ids),
        moment=some.soon,
    )
    def hand_over(
        self, handed: dict[TaskId, datetime], back: list[TaskId], moment: datetime
    ) -> None:
        """Note that tasks were sent, whether they are due or not; some could not be after all."""

        async def note(uow: UnitOfWork) -> None:
            await uow.tasks.set_dispatched(handed)
            await uow.tasks.set_due(back, moment)

        self.write(note)

    # --- asking -----------------------------------------------------------------------------------

    @rule(limit=some.limits, moment=some.soon, since=beginnings, begin=st.none() | some.moments)
    def ask_what_is_due(
        self, limit: int, moment: datetime, since: Since, begin: datetime | None
    ) -> None:
        async def look(uow: UnitOfWork) -> tuple[list[list[DueTask]], set[str], datetime | None]:
            due = [await uow.tasks.due(queue, moment, limit, since) for queue in some.QUEUES]
            queues = await uow.tasks.due_queues(moment, begin)
            return due, queues, await uow.tasks.next_due(moment)

        self.write(look)

    @rule(wanted=some.task_filters, page=some.task_pages, moment=some.soon, inside=st.booleans())
    def list_and_count_tasks(
        self, wanted: TaskFilter, page: Page, moment: datetime, inside: bool
    ) -> None:
        """A page and the one after it, beside the counts."""

        async def look(uow: UnitOfWork) -> list[Any]:
            found = await uow.tasks.search(wanted, page, moment)
            further = replace(page, after=found[-1].id if found else page.after)
            return [
                found,
                await uow.tasks.search(wanted, further, moment),
                counted(await uow.tasks.count_by_queue(moment)),
            ]

        self.ask(look, inside=inside)

    @rule(tags=some.several(some.tags), inside=st.booleans())
    def list_tasks_by_tag(self, tags: list[str], inside: bool) -> None:
        async def look(uow: UnitOfWork) -> list[list[Task]]:
            filters = [TaskFilter(tag=tag) for tag in tags]
            return [await uow.tasks.search(wanted, Page(), self.now) for wanted in filters]

        self.ask(look, inside=inside)

    @rule(
        ids=st.lists(some.task_ids, max_size=4),
        keys=st.lists(some.keys, max_size=4),
        worker=some.worker_ids,
        limit=some.limits,
        inside=st.booleans(),
    )
    def get_tasks(
        self, ids: list[TaskId], keys: list[str], worker: WorkerId, limit: int, inside: bool
    ) -> None:
        """What is asked for twice is given once."""

        async def get(uow: UnitOfWork) -> list[Any]:
            return [
                by_id(await uow.tasks.get_many(ids)),
                ordered(await uow.tasks.versions(ids)),
                by_id(await uow.tasks.by_keys(keys)),
                ordered(await uow.tasks.held_by(worker)),
                len(await uow.tasks.orphans(limit)),  # which of them, is open
            ]

        self.ask(get, inside=inside)
