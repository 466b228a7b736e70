"""I5 and I12: what must hold of attempts, of how they are counted and of what follows them.

The policy is computed here once more: a check that asked the code under test would believe it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cueline.domain.attempt import Attempt, AttemptOutcome
from cueline.domain.retry import Backoff, RetryPolicy
from cueline.domain.task import Task, TaskState
from tests.simulation.database import Commit
from tests.simulation.handlers import Behaviour
from tests.simulation.violations import at_commit, at_end
from tests.simulation.world import World

ROUNDING = timedelta(milliseconds=1)


@at_commit("I5")
def counts_attempts(commit: Commit) -> Iterator[str]:
    """Each claim is an attempt; a failed one is charged, a released or snoozed one is not."""
    records = {(record.task_id, record.number): record for record in commit.attempts}
    for change in commit.tasks:
        before, after = change.before, change.after
        if before is None or after.version != before.version + 1:
            continue
        claimed = after.state is TaskState.RUNNING
        if after.attempt != before.attempt + claimed:
            yield f"{_named(after)} went from attempt {before.attempt} to {after.attempt}"
        if before.state.ended and after.failures:
            yield f"{_named(after)} begins a new life with {after.failures} failures"
        if before.state is TaskState.RUNNING and after.state is not TaskState.SUCCEEDED:
            yield from _charges(before, after, records.get((after.id, before.attempt)))


def _charges(before: Task, after: Task, record: Attempt | None) -> Iterator[str]:
    if record is None:
        yield f"{_named(after)} ended attempt {before.attempt} without a record"
        return
    failed = record.outcome is AttemptOutcome.FAILED
    if after.failures != before.failures + failed:
        yield f"{_named(after)}, {record.outcome}: failures {before.failures} -> {after.failures}"
    if not failed or record.failure is None:
        return
    gives_up = record.failure.permanent or after.failures >= after.spec.retry.attempts
    if gives_up != (after.state is TaskState.FAILED):
        yield (
            f"{_named(after)} is {after.state} after failure {after.failures} "
            f"of {after.spec.retry.attempts}"
        )


@at_commit("I5")
def waits_as_long_as_asked(commit: Commit) -> Iterator[str]:
    """A retry keeps its policy's distance, a snooze lasts, and what is released is due as before.

    Both ends are from one reading of one clock, however wrong.
    """
    records = {record.task_id: record for record in commit.attempts}
    for change in commit.tasks:
        before, after, record = change.before, change.after, records.get(change.after.id)
        if before is None or after.state is not TaskState.QUEUED or record is None:
            continue
        if record.outcome is AttemptOutcome.RELEASED or record.ended_at is None:
            if after.run_at != before.run_at:
                yield f"{_named(after)} was released and lost its place in line"
            continue
        waits = after.run_at - record.ended_at
        least, most = _distance(after, record.outcome)
        if not least - ROUNDING <= waits <= most + ROUNDING:
            yield f"{_named(after)}, {record.outcome}, waits {waits}, not {least} to {most}"


def _distance(task: Task, outcome: AttemptOutcome) -> tuple[timedelta, timedelta]:
    if outcome is AttemptOutcome.SNOOZED:
        seconds = timedelta(seconds=Behaviour.of(task.spec.input).seconds)
        return seconds, seconds
    retry = task.spec.retry
    most = min(retry.cap, retry.first * _multiple(retry, task.failures))
    return most * (1 - retry.jitter), most


def _multiple(retry: RetryPolicy, failures: int) -> float:
    match retry.backoff:
        case Backoff.FIXED:
            return 1.0
        case Backoff.LINEAR:
            return float(failures)
        case Backoff.EXPONENTIAL:
            return float(retry.factor ** (failures - 1))


@at_end("I12")
def attempts_tell_the_whole_story(world: World) -> Iterator[str]:
    """Every attempt but a successful one has one record, and no other is recorded."""
    tables = world.database.tables
    numbers: dict[str, list[int]] = {}
    for record in tables.attempts.rows.values():
        numbers.setdefault(record.task_id, []).append(record.number)
    for task in tables.tasks.rows.values():
        recorded = sorted(numbers.get(task.id, []))
        last = task.attempt - (task.state is TaskState.SUCCEEDED)
        if recorded != list(range(1, last + 1)):
            yield f"{_named(task)} has come to attempt {task.attempt}; recorded are {recorded}"


def _named(task: Task) -> str:
    return f"task {task.spec.input.get('label')} ({task.id})"
