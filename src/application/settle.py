"""Settling: the one way to finish.

Success, failure, timeout, cancellation, release and the loss of a worker all come through here, so
that no path can forget to tell a run that one of its steps has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cueline.application.advancing import RunAdvancer, RunReport, Taker
from cueline.application.changes import Announcer, Changes
from cueline.application.outcomes import Outcome, Succeeded
from cueline.application.ports.journal import LogEntry
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.runtime import Chance, Clock
from cueline.application.recent_runs import RecentRuns
from cueline.domain.errors import Outdated
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.messages import (
    RunInput,
    TaskCancelled,
    TaskFailed,
    TaskSucceeded,
)
from cueline.domain.workflow.run import Run


@dataclass(frozen=True, slots=True)
class Settled:
    """Which outcomes were written, and which were refused because the task had moved on.

    `claimed` are tasks that follow from them and that the taker has claimed: it has to do them.
    """

    accepted: tuple[Task, ...]
    refused: frozenset[TaskId]
    claimed: tuple[Task, ...] = ()


class SettleTasks:
    """Writes outcomes in one transaction: tasks, attempts, logs, the runs' advance, the next tasks.

    The order is what makes it safe: lock the runs concerned in id order, then write the outcomes
    under their version check, then advance the runs, then add the tasks that follow. Where nobody
    else is likely to move the runs, they are not locked but supposed to be as this process left
    them, and compared when they are written; if that was wrong, it is done anew under locks.
    """

    def __init__(
        self,
        store: Store,
        advancer: RunAdvancer,
        announcer: Announcer,
        clock: Clock,
        chance: Chance,
        recent: RecentRuns,
    ) -> None:
        self._store = store
        self._advancer = advancer
        self._announcer = announcer
        self._clock = clock
        self._chance = chance
        self._recent = recent

    async def __call__(
        self,
        outcomes: Sequence[Outcome],
        logs: Sequence[LogEntry] = (),
        taker: Taker | None = None,
    ) -> Settled:
        """Settle outcomes, at most one for each task. Answers after the commit.

        An outcome whose task has moved on since it was read is refused and changes nothing. What
        its handler logged is kept all the same: it did happen. Steps that follow go to the `taker`,
        as far as it takes them.
        """
        await self._announcer.prepare()
        if not logs and all(_stands_alone(outcome) for outcome in outcomes):
            return await self._settle(self._store.at_once(), outcomes)
        supposed = await self._supposed(outcomes) if taker else None
        if supposed is not None:
            try:
                return await self._settle(self._store.optimistic(), outcomes, logs, taker, supposed)
            except Outdated:
                self._recent.forget(supposed)
        return await self._settle(self._store.write(), outcomes, logs, taker)

    async def _supposed(self, outcomes: Sequence[Outcome]) -> Mapping[RunId, Run] | None:
        """The runs of these outcomes as they seem to be; None if others may be moving one, too.

        Whose steps under way all end here, that run is moved by nobody else but an operator. A step
        that does not succeed may be tried again, and says nothing to its run: then that is not
        saved, and what it was supposed to be not compared.
        """
        if not all(isinstance(out, Succeeded) or _run_of(out) is None for out in outcomes):
            return None
        ends = Counter(run_id for run_id in map(_run_of, outcomes) if run_id is not None)
        found = self._recent.find(ends)
        if all(run.active == ends[run.id] for run in found.values()) and len(found) < len(ends):
            async with self._store.read() as uow:
                read = await uow.runs.get_many(ends.keys() - found.keys())
            found |= {run.id: run for run in read}
        are_ours = (id in found and found[id].active == count for id, count in ends.items())
        return found if all(are_ours) else None

    async def _settle(
        self,
        unit: UnitOfWork,
        outcomes: Sequence[Outcome],
        logs: Sequence[LogEntry] = (),
        taker: Taker | None = None,
        supposed: Mapping[RunId, Run] | None = None,
    ) -> Settled:
        """Settle in a unit of work of their own; the runs concerned are locked unless supposed."""
        now = self._clock.now()
        changes = Changes()
        async with unit as uow:
            settled = await self.within(uow, outcomes, now, changes, taker, supposed)
            if logs:
                await uow.journal.add_logs(logs)
            await uow.commit()
        self._recent.note(changes.runs, changes.claimed)
        await self._announcer.announce(changes)
        return settled

    async def within(
        self,
        uow: UnitOfWork,
        outcomes: Sequence[Outcome],
        now: datetime,
        changes: Changes,
        taker: Taker | None = None,
        supposed: Mapping[RunId, Run] | None = None,
    ) -> Settled:
        """Settle inside a transaction; the caller commits it and announces the changes."""
        run_ids = {run_id for run_id in map(_run_of, outcomes) if run_id is not None}
        if supposed:
            await uow.runs.suppose(list(supposed.values()))
            runs = dict(supposed)
        else:
            runs = {run.id: run for run in await uow.runs.lock_many(run_ids)} if run_ids else {}
        after = [outcome.apply(now, self._chance()) for outcome in outcomes]
        after = self._announcer.reserve(after)
        refused = await uow.tasks.save_many(after)
        accepted = [task for task in after if task.id not in refused]
        attempts = [
            attempt
            for outcome in outcomes
            if outcome.task.id not in refused and (attempt := outcome.attempt(now)) is not None
        ]
        if attempts:
            await uow.journal.add_attempts(attempts)
        changes.moved.extend(accepted)
        changes.ready.extend(task for task in accepted if task.state is TaskState.QUEUED)
        await self._advance(uow, runs, accepted, now, changes, taker)
        return Settled(tuple(accepted), frozenset(refused), tuple(changes.claimed))

    async def _advance(
        self,
        uow: UnitOfWork,
        runs: dict[RunId, Run],
        accepted: Sequence[Task],
        now: datetime,
        changes: Changes,
        taker: Taker | None,
    ) -> None:
        reports = [
            RunReport(task.spec.origin.run_id, report)
            for task in accepted
            if task.spec.origin is not None
            and task.spec.origin.run_id in runs
            and (report := _report(task)) is not None
        ]
        if reports:
            starts = await self._advancer.advance(uow, runs, reports, now, changes)
            await uow.runs.save_many([runs[id] for id in sorted({r.run_id for r in reports})])
            await self._advancer.start(uow, starts, now, changes, taker)
        changes.runs.extend(runs.values())


def _run_of(outcome: Outcome) -> RunId | None:
    origin = outcome.task.spec.origin
    return None if origin is None else origin.run_id


def _stands_alone(outcome: Outcome) -> bool:
    """Whether nothing but the task is to be written: no attempt, and no run that goes on."""
    return isinstance(outcome, Succeeded) and outcome.task.spec.origin is None


def _report(task: Task) -> RunInput | None:
    """What a run is told of a task that has ended; nothing while it has not."""
    origin = task.spec.origin
    if origin is None:
        return None
    match task.state:
        case TaskState.SUCCEEDED:
            return TaskSucceeded(origin.step, origin.purpose, task.output)
        case TaskState.FAILED:
            failure = task.failure or Failure("Unknown", "the task failed")
            return TaskFailed(origin.step, origin.purpose, failure)
        case TaskState.CANCELLED:
            return TaskCancelled(origin.step, origin.purpose)
        case _:
            return None
