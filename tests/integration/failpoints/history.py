"""What happened in a world, from what was noted in its store, held against the invariants.

The checks are the simulation's: of each commit, in order, and of the end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task, TaskState
from cueline.infrastructure.memory.copying import copy_of_run, copy_of_task
from cueline.infrastructure.memory.tables import Tables
from tests.integration.failpoints import shop
from tests.integration.failpoints.changes import Changes
from tests.integration.failpoints.records import Completed
from tests.integration.failpoints.world import World
from tests.simulation import attempt_invariants, run_invariants, task_invariants
from tests.simulation import world as simulated
from tests.simulation.chronicle import Chronicle
from tests.simulation.database import Change, Commit, Isolation
from tests.simulation.ledger import Ledger
from tests.simulation.violations import check_commit, check_end

CHECKS = {each.__name__ for each in (attempt_invariants, run_invariants, task_invariants)}
"""Where those are that need no more than what was stored and answered, whoever the handlers are."""

SAME_CLOCK = timedelta(seconds=0.1)
"""By how much clocks differ that are one: a commit is noted a moment before it takes effect."""


@dataclass
class Verdict:
    """What is wrong, and the figures."""

    wrong: list[str] = field(default_factory=list)
    lost: int = 0
    applied_twice: int = 0
    from_stale_owners: int = 0
    executed_again: int = 0
    recoveries: list[float] = field(default_factory=list)


class Replay:
    """Makes the history of a store happen again, commit by commit."""

    def __init__(self, isolation: Isolation) -> None:
        self.tables = Tables()
        self._isolation = isolation

    def commit(self, changes: Changes) -> Commit:
        """Have the next commit happen."""
        tables = self.tables
        commit = Commit(
            at=datetime.fromtimestamp(changes.at, UTC),
            isolation=self._isolation,
            clock_error=SAME_CLOCK,
            tasks=[Change(tables.tasks.rows.get(id), row) for id, row in changes.tasks.items()],
            runs=[Change(tables.runs.rows.get(id), row) for id, row in changes.runs.items()],
            workers=[
                Change(tables.workers.rows.get(id), row) for id, row in changes.workers.items()
            ],
            attempts=changes.attempts,
            history=changes.history,
            queues_before={},
            state=tables,
        )
        for id, task in changes.tasks.items():
            tables.tasks.put(id, task)
        for run_id, run in changes.runs.items():
            tables.runs.put(run_id, run)
        for worker_id, worker in changes.workers.items():
            tables.workers.put(worker_id, worker)
        for attempt in changes.attempts:
            tables.attempts.put((attempt.task_id, attempt.number), attempt)
        for event in changes.history:
            tables.history.put((event.id, event.sequence), event)
        return commit


class Owners:
    """Which life holds each task, and what became of those whose life ended."""

    def __init__(self, world: World, verdict: Verdict) -> None:
        self._deaths = {life.name: life.ended for life in world.lives}
        self._verdict = verdict
        self._holders: dict[TaskId, str] = {}
        self._outcomes: Counter[tuple[TaskId, int]] = Counter()

    def see(self, life: str, at: float, change: Change[Task]) -> None:
        """Follow a task through one change, made by a life."""
        before, after = change.before, change.after
        if before is not None and before.state is TaskState.RUNNING:
            self._outcomes[before.id, before.attempt] += 1
            self._verdict.applied_twice += self._outcomes[before.id, before.attempt] > 1
            holder = self._holders.pop(after.id, "")
            if holder != life:
                self._take_back(before, after, at - self._deaths[holder])
        if after.state is TaskState.RUNNING:
            self._holders[after.id] = life

    def _take_back(self, before: Task, after: Task, waited: float) -> None:
        """Another life has written how a task ended for which its holder no longer could."""
        self._verdict.recoveries.append(waited)
        if after.state is TaskState.SUCCEEDED:
            self._verdict.from_stale_owners += 1
        if after.failures != before.failures + 1:
            self._verdict.wrong.append(f"I5: task {after.id} was lost and was not charged for it")


def judge(world: World, isolation: Isolation, noted: Sequence[Changes], stored: Tables) -> Verdict:
    """Hold a world that has come to its end against all that must be so."""
    verdict = Verdict()
    replay, owners = Replay(isolation), Owners(world, verdict)
    for changes in noted:
        commit = replay.commit(changes)
        for violation in check_commit(commit, CHECKS):
            verdict.wrong.append(f"{violation}, in a commit of {changes.life}")
        for change in commit.tasks:
            owners.see(changes.life, changes.at, change)
    verdict.wrong.extend(_differences(replay.tables, stored))
    verdict.wrong.extend(
        str(violation) for violation in check_end(_as_simulated(world, stored), CHECKS)
    )
    verdict.wrong.extend(_unearned(world, stored))
    lost = list(_lost(world, stored))
    verdict.wrong.extend(lost)
    verdict.lost = len(lost)
    if verdict.applied_twice or verdict.from_stale_owners:
        verdict.wrong.append(
            f"I4: {verdict.applied_twice} outcomes were applied twice, "
            f"{verdict.from_stale_owners} accepted from a stale owner"
        )
    completed = Counter(entry.task_id for entry in _completed(world))
    verdict.executed_again = sum(count - 1 for count in completed.values())
    return verdict


def _differences(replayed: Tables, stored: Tables) -> Iterator[str]:
    """Where the rows are not what the history leads to: I12."""
    for id in replayed.tasks.rows.keys() | stored.tasks.rows.keys():
        told, found = replayed.tasks.rows.get(id), stored.tasks.rows.get(id)
        if told is None or found is None or _essence(told) != _essence(found):
            yield f"I12: task {id} is {found}, and its history leads to {told}"
    for run_id in replayed.runs.rows.keys() | stored.runs.rows.keys():
        led_to, is_now = replayed.runs.rows.get(run_id), stored.runs.rows.get(run_id)
        if led_to is None or is_now is None or copy_of_run(led_to) != copy_of_run(is_now):
            yield f"I12: run {run_id} is {is_now}, and its history leads to {led_to}"


def _essence(task: Task) -> Task:
    """All of a task but the hints."""
    return replace(copy_of_task(task), dispatch_at=None, dispatches=0)


def _lost(world: World, stored: Tables) -> Iterator[str]:
    """Wishes that did not come to their right end."""
    tasks = {str(task.spec.input["label"]): task for task in stored.tasks.rows.values()}
    runs = {run.key: run for run in stored.runs.rows.values()}
    for label, wish in world.wished.items():
        found = tasks.get(label) if isinstance(wish, shop.Submit) else runs.get(label)
        if found is None and label not in world.answers and not shop.has_key(wish):
            continue  # never acknowledged, and not repeated
        if found is None or found.state != wish.end:
            yield f"I9: {label} should be {wish.end} and is {found and found.state.value}"


def _unearned(world: World, stored: Tables) -> Iterator[str]:
    """Tasks that succeeded by an attempt that no handler has brought to its end."""
    done = {(entry.task_id, entry.attempt) for entry in _completed(world)}
    for task in stored.tasks.rows.values():
        if task.state is TaskState.SUCCEEDED and (task.id, task.attempt) not in done:
            yield f"I4: task {task.id} succeeded in attempt {task.attempt}, which nobody made"


def _completed(world: World) -> Iterator[Completed]:
    for life in world.lives:
        for entry in life.entries:
            if isinstance(entry, Completed):
                yield entry


def _as_simulated(world: World, stored: Tables) -> simulated.World:
    """A world as the simulation's checks of the end look at it."""
    ledger = Ledger(Chronicle(now=time.time))
    for label, wish in world.wished.items():
        if isinstance(wish, shop.Submit):
            for _ in range(world.asked.get(label, 0)):
                ledger.asking(label, wish.submission)
            for answer in world.answers.get(label, ()):
                ledger.answered(label, wish.submission, answer)
        else:
            answers = set(world.answers.get(label, ()))
            ledger.runs.update((label, id) for id in answers)
            if len(answers) > 1:
                ledger.lies.append(f"run {label} was answered as {answers}")
    executions = [
        SimpleNamespace(task=SimpleNamespace(id=entry.task_id, attempt=entry.attempt), ended=True)
        for entry in _completed(world)
    ]
    likeness = SimpleNamespace(
        ledger=ledger,
        database=SimpleNamespace(tables=stored),
        executions=SimpleNamespace(all=executions),
    )
    return cast("simulated.World", likeness)
