"""Advancing runs: feeding events to the domain's `advance` and carrying out its commands.

Everything happens inside the caller's transaction, with the runs concerned locked or supposed: the
outcome of a task, the advance of its run and the tasks that follow are one commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cueline.application.catalogue import Catalogue
from cueline.application.changes import Announcer, Changes
from cueline.application.outcomes import Cancelled
from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.runtime import InputChecker
from cueline.domain.attempt import Attempt
from cueline.domain.definition import TaskDefinition
from cueline.domain.errors import InvalidInput
from cueline.domain.events import Event
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId, step_task_id
from cueline.domain.json import copied_object
from cueline.domain.task import Origin, Task, TaskSpec, TaskState
from cueline.domain.worker import Worker
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.messages import (
    RunInput,
    StartTask,
    TaskCancelled,
    TaskFailed,
    WithdrawTasks,
)
from cueline.domain.workflow.run import Run


@dataclass(frozen=True, slots=True)
class RunReport:
    """Something that a run is told."""

    run_id: RunId
    event: RunInput


StepStart: TypeAlias = tuple[Run, StartTask]
"""A step that is to be started, and the run as it then stands."""


@dataclass(frozen=True, slots=True)
class Taker:
    """A worker that would do next what follows from its work: which tasks it knows, and how many.

    What it takes along is claimed as it is added, and spares the way through the broker.
    """

    worker: Worker
    names: Collection[str]
    slots: int

    def claims(self, fresh: Iterable[Task], now: datetime) -> list[Task]:
        """What it claims of new tasks: the most urgent that it can do now, one for each slot."""
        suited = [task for task in fresh if self._can_do(task, now)]
        suited.sort(key=lambda task: task.spec.priority)
        return [task.claim(self.worker.id, now) for task in suited[: self.slots]]

    def _can_do(self, task: Task, now: datetime) -> bool:
        spec = task.spec
        return task.is_ready(now) and spec.name in self.names and spec.queue in self.worker.queues


class RunAdvancer:
    """Advances runs and carries out what follows."""

    def __init__(self, catalogue: Catalogue, checker: InputChecker, announcer: Announcer) -> None:
        self._catalogue = catalogue
        self._checker = checker
        self._announcer = announcer

    async def advance(
        self,
        uow: UnitOfWork,
        runs: dict[RunId, Run],
        reports: Sequence[RunReport],
        now: datetime,
        changes: Changes,
    ) -> list[StepStart]:
        """Feed the reports to their runs, which `runs` holds; leave the new runs in `runs`.

        The caller stores the runs, and then has `start` do what this answers. History, and what
        becomes of the tasks that a run withdraws, are written here.
        """
        pending = deque(reports)
        facts: list[Event] = []
        starts: list[StepStart] = []
        while pending:
            withdrawals: list[tuple[RunId, WithdrawTasks]] = []
            while pending:
                report = pending.popleft()
                step = advance(runs[report.run_id], report.event, now)
                runs[report.run_id] = step.run
                facts.extend(step.facts)
                for command in step.commands:
                    if isinstance(command, WithdrawTasks):
                        withdrawals.append((report.run_id, command))
                    elif failed := await self._misfit(step.run, command):
                        pending.append(RunReport(report.run_id, failed))
                    else:
                        starts.append((step.run, command))
            for run_id, withdrawal in withdrawals:
                pending.extend(await self._withdraw(uow, run_id, withdrawal, now, changes, starts))
        await uow.runs.append_history(facts)
        changes.facts.extend(facts)
        return starts

    async def first_queues(self, workflows: Iterable[Workflow]) -> set[str]:
        """The queues to which the first tasks of a run of these workflows go."""
        wishes = {
            (step.queue, step.task)
            for workflow in workflows
            for step in workflow.steps
            if not workflow.needs[step.name]
        }
        return {queue or (await self._definition(task)).queue for queue, task in wishes}

    async def _definition(self, name: str) -> TaskDefinition:
        return await self._catalogue.find(name) or TaskDefinition(name, {})

    async def _misfit(self, run: Run, command: StartTask) -> TaskFailed | None:
        """The failure of a step whose input turned out not to fit its handler."""
        definition = await self._catalogue.find(_task_name(run, command))
        if definition is None:
            return None
        problems = self._checker.check(definition, command.input)
        if not problems:
            return None
        error = InvalidInput(f"the input made for task {definition.name!r} does not fit", problems)
        return TaskFailed(command.step, command.purpose, Failure.of(error))

    # --- starting ---------------------------------------------------------------------------------

    async def start(
        self,
        uow: UnitOfWork,
        starts: Sequence[StepStart],
        now: datetime,
        changes: Changes,
        taker: Taker | None = None,
    ) -> None:
        """Store the tasks of steps that start; the `taker` claims those that it takes along."""
        if not starts:
            return
        fresh: list[Task] = []
        again: dict[str, Task] = {}
        for run, command in starts:
            task = Task.submitted(await self._spec(run, command, now), now)
            if command.again:
                again[task.id] = task
            else:
                fresh.append(task)
        revived = await self._revive(uow, again, now) if again else []
        fresh.extend(again[id] for id in again.keys() - {task.id for task in revived})
        wanted = taker.claims(fresh, now) if taker else []
        taken = await uow.tasks.add_claimed(wanted) if wanted else set()
        # One that was there already is in `left`, too: the window soon has its place back.
        left = self._announcer.reserve([task for task in fresh if task.id not in taken])
        added = await uow.tasks.add_many(left) if left else set()
        ready = [task for task in left if task.id in added] + revived
        claimed = [task for task in wanted if task.id in taken]
        changes.ready.extend(ready)
        changes.claimed.extend(claimed)
        changes.moved.extend(ready + claimed)

    async def _revive(
        self, uow: UnitOfWork, wanted: Mapping[str, Task], now: datetime
    ) -> list[Task]:
        """Requeue the tasks of steps that are started again, and keep their attempts' history."""
        ended = await uow.tasks.get_many([task.id for task in wanted.values()])
        revived = self._announcer.reserve([task.requeue(now) for task in ended])
        stale = await uow.tasks.save_many(revived)
        return [task for task in revived if task.id not in stale]

    async def _spec(self, run: Run, command: StartTask, now: datetime) -> TaskSpec:
        """What the step asks for: its own wishes first, then its task's, then the standard ones."""
        name = _task_name(run, command)
        task = await self._definition(name)
        step = run.workflow.by_name[command.step]
        undo = step.compensate if command.purpose is Purpose.UNDO else None
        wishes: Step | None = None if undo else step
        retry = undo.retry if undo else step.retry
        timeout = undo.timeout if undo else step.timeout
        return TaskSpec(
            id=step_task_id(run.id, command.step, command.purpose),
            name=name,
            input=copied_object(command.input),  # the run may be remembered: a handler has its own
            created_at=now,
            queue=(wishes and wishes.queue) or task.queue,
            priority=task.priority
            if wishes is None or wishes.priority is None
            else wishes.priority,
            retry=retry or task.retry,
            timeout=timeout or task.timeout,
            origin=Origin(run.id, command.step, command.purpose),
        )

    # --- withdrawing ------------------------------------------------------------------------------

    async def _withdraw(
        self,
        uow: UnitOfWork,
        run_id: RunId,
        command: WithdrawTasks,
        now: datetime,
        changes: Changes,
        starts: list[StepStart],
    ) -> list[RunReport]:
        """Cancel tasks of a run; answer a report for each that will not report by itself.

        A task that a worker claims at this very moment is left to report.
        """
        wanted = {step_task_id(run_id, step, Purpose.WORK): step for step in command.steps}
        unborn = [
            start
            for start in starts
            if start[0].id == run_id
            and start[1].step in command.steps
            and start[1].purpose is Purpose.WORK
        ]
        for start in unborn:  # asked for in this transaction and not even stored yet
            starts.remove(start)
        tasks = await uow.tasks.get_many(wanted.keys())
        open_states = (
            {TaskState.QUEUED, TaskState.RUNNING} if command.running else {TaskState.QUEUED}
        )
        outcomes = [Cancelled(task) for task in tasks if task.state in open_states]
        cancelled = [outcome.apply(now, 0.0) for outcome in outcomes]
        stale = await uow.tasks.save_many(cancelled)
        attempts: list[Attempt] = [
            attempt
            for outcome in outcomes
            if outcome.task.id not in stale and (attempt := outcome.attempt(now)) is not None
        ]
        await uow.journal.add_attempts(attempts)
        done = [task for task in cancelled if task.id not in stale]
        changes.moved.extend(done)
        steps = [start[1].step for start in unborn] + [wanted[task.id] for task in done]
        return [RunReport(run_id, TaskCancelled(step, Purpose.WORK)) for step in steps]


def _task_name(run: Run, command: StartTask) -> str:
    step = run.workflow.by_name[command.step]
    if command.purpose is Purpose.UNDO and step.compensate is not None:
        return step.compensate.task
    return step.task
