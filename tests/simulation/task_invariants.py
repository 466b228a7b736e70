"""I1 to I6 and I12: what must hold of tasks and workers."""

from __future__ import annotations

from collections.abc import Iterator

from cueline.domain.task import LONGEST_RECOVERY, TRANSITIONS, Task, TaskState
from cueline.domain.worker import LEASE, WORKER_TRANSITIONS, WorkerState
from tests.simulation.database import Change, Commit, Isolation
from tests.simulation.violations import at_commit, at_end
from tests.simulation.world import World

# --- each commit ----------------------------------------------------------------------------------


@at_commit("I2")
def is_no_orphan(commit: Commit) -> Iterator[str]:
    """A task that has not ended will be handed out, or is held by a worker that can be lost."""
    for change in commit.tasks:
        task = change.after
        if task.state is TaskState.QUEUED:
            latest = max(task.run_at, commit.at + LONGEST_RECOVERY) + commit.clock_error
            if task.dispatch_at is None or task.dispatch_at > latest:
                yield f"{_named(task)} is queued and due at {task.dispatch_at}"
        elif task.state is TaskState.RUNNING and task.worker_id not in commit.state.workers.rows:
            yield f"{_named(task)} runs under worker {task.worker_id}, who does not exist"


@at_commit("I3")
def is_fenced(commit: Commit) -> Iterator[str]:
    """Every transition makes the version rise; what does not is a hint and changes no more."""
    for change in commit.tasks:
        before, after = change.before, change.after
        if before is None:
            stands = after.version, after.attempt, after.state
            taken_along = after.spec.origin is not None and stands == (2, 1, TaskState.RUNNING)
            if stands != (1, 0, TaskState.QUEUED) and not taken_along:
                yield f"{_named(after)} was new as {after.state}, version {after.version}"
        elif after.version < before.version:
            yield f"{_named(after)} fell from version {before.version} to {after.version}"
        elif after.version == before.version and _essence(before) != _essence(after):
            yield (
                f"{_named(after)} changed from {before.state} to {after.state} "
                f"under one version, {after.version}"
            )


@at_commit("I3")
def is_taken_from_the_lost_only(commit: Commit) -> Iterator[str]:
    """A task is recovered only from a worker that is not live."""
    for attempt in commit.attempts:
        if attempt.failure is not None and attempt.failure.type == "WorkerLost":
            worker = commit.state.workers.rows.get(attempt.worker_id)
            if worker is not None and worker.state is WorkerState.LIVE:
                yield f"task {attempt.task_id} was taken from {worker.name}, which is live"


@at_commit("I3")
def workers_do_not_come_back(commit: Commit) -> Iterator[str]:
    """A worker that was evicted or has stopped stays so."""
    for change in commit.workers:
        before, after = change.before, change.after
        if before is not None and after.state not in WORKER_TRANSITIONS[before.state].values():
            yield f"worker {after.name} went from {before.state} to {after.state}"


@at_commit("I3")
def leases_are_honoured(commit: Commit) -> Iterator[str]:
    """A lease lasts as long as it is said to, no less and no more."""
    for change in commit.workers:
        before, after = change.before, change.after
        if after.lease_until > commit.at + LEASE + commit.clock_error:
            yield f"worker {after.name} is trusted until {after.lease_until}"
        if before is None or after.state is not WorkerState.LOST:
            continue
        if before.lease_until > commit.at + commit.clock_error:
            yield f"worker {after.name} was evicted, and trusted until {before.lease_until}"


@at_commit("I3")
def is_claimed_by_right(commit: Commit) -> Iterator[str]:
    """A task is claimed when its time has come, by a worker that serves its queue and is live.

    Where writers run side by side, a claim that began before an eviction may be committed after it.
    """
    for change in commit.tasks:
        if not _is_claim(change) or change.after.worker_id is None:
            continue
        task, began = change.after, change.after.started_at
        if began is None or began < (change.before or task).run_at:
            yield f"{_named(task)} was claimed at {began}, before its time"
        worker = commit.state.workers.rows.get(change.after.worker_id)
        if worker is None:
            continue
        if task.spec.queue not in worker.queues:
            yield f"{_named(task)} was claimed by {worker.name}, who does not serve its queue"
        if commit.isolation is Isolation.ONE_WRITER and worker.state is not WorkerState.LIVE:
            yield f"{_named(task)} was claimed by {worker.name}, who is {worker.state}"


@at_commit("I12")
def is_whole(commit: Commit) -> Iterator[str]:
    """A task has what belongs to its state, and nothing left of an earlier one."""
    for change in commit.tasks:
        task = change.after
        held = task.worker_id is not None and task.started_at is not None
        match task.state:
            case TaskState.QUEUED if task.worker_id is not None or task.started_at is not None:
                yield f"{_named(task)} is queued under worker {task.worker_id}"
            case TaskState.RUNNING | TaskState.SUCCEEDED | TaskState.FAILED if not held:
                yield f"{_named(task)} is {task.state} under worker {task.worker_id}"
            case TaskState.RUNNING if task.dispatches:
                yield f"{_named(task)} is running and was handed out {task.dispatches} times"
            case TaskState.FAILED if task.failure is None:
                yield f"{_named(task)} failed of nothing"
            case TaskState.SUCCEEDED if task.failure is not None:
                yield f"{_named(task)} succeeded, and its failure is {task.failure.type}"
            case _:
                pass
        if (task.ended_at is not None) != task.state.ended:
            yield f"{_named(task)} is {task.state} and ended at {task.ended_at}"
        if task.dispatch_at is not None and task.state is not TaskState.QUEUED:
            yield f"{_named(task)} is {task.state} and due at {task.dispatch_at}"


@at_commit("I12")
def promoted_is_due(commit: Commit) -> Iterator[str]:
    """What somebody wants now is due."""
    for change in commit.tasks:
        before, after = change.before, change.after
        if before is None or before.version == after.version:
            continue
        if before.state is after.state is TaskState.QUEUED and (
            after.run_at > commit.at + commit.clock_error
        ):
            yield f"{_named(after)} was promoted, to run at {after.run_at}"


@at_commit("I4")
def succeeds_by_its_present_attempt(commit: Commit) -> Iterator[str]:
    """An accepted result is that of the attempt and the version which the task had."""
    for change in commit.tasks:
        before, after = change.before, change.after
        if after.state is not TaskState.SUCCEEDED or before is None or before.state is after.state:
            continue
        told = after.output if isinstance(after.output, dict) else {}
        if (told.get("attempt"), told.get("token")) != (after.attempt, after.version - 1):
            yield f"{_named(after)}, attempt {after.attempt}, took the result {told}"


@at_commit("I6")
def moves_by_the_table(commit: Commit) -> Iterator[str]:
    """From one state to the next there is an edge for each version."""
    for change in commit.tasks:
        before, after = change.before, change.after
        if before is None or after.version <= before.version:
            continue
        reachable = {before.state}
        for _ in range(after.version - before.version):
            reachable = {state for one in reachable for state in TRANSITIONS[one].values()}
        if after.state not in reachable:
            yield f"{_named(after)} went from {before.state} to {after.state}"


@at_commit("pause")
def starts_nothing_while_paused(commit: Commit) -> Iterator[str]:
    """A task is claimed only while its queue is not paused.

    Where writers run side by side, a claim that began before the pause may be committed after it.
    """
    if commit.isolation is not Isolation.ONE_WRITER:
        return
    for change in commit.tasks:
        queue = commit.queues_before.get(change.after.spec.queue)
        if _is_claim(change) and queue is not None and queue.paused:
            yield f"{_named(change.after)} was claimed from the paused queue {queue.name}"


# --- the end --------------------------------------------------------------------------------------


@at_end("I1")
def nothing_is_lost_or_doubled(world: World) -> Iterator[str]:
    """What was acknowledged is there, once; what was asked for once is there once at most."""
    yield from world.ledger.lies
    rows = world.database.tables.tasks.rows
    for label, id in world.ledger.tasks.items():
        if id not in rows:
            yield f"{label} was acknowledged as {id} and is lost"
    born: dict[str, int] = {}
    for task in rows.values():
        if task.spec.origin is None:
            label = str(task.spec.input["label"])
            born[label] = born.get(label, 0) + 1
            if task.spec.key is not None and task.spec.key != label:
                yield f"{label} bears the key {task.spec.key}"
    for label, count in born.items():
        keyed = world.ledger.asked[label].key is not None
        if count > (1 if keyed else world.ledger.calls[label]):
            yield f"{label} became {count} tasks"


@at_end("I1")
def what_was_refused_is_not_there(world: World) -> Iterator[str]:
    """A client that was told off has left nothing behind."""
    rows = world.database.tables.tasks.rows.values()
    born = {str(task.spec.input["label"]) for task in rows}
    for label in world.ledger.refused:
        if label in born:
            yield f"{label} was refused and stored"


@at_end("I1")
def batches_are_whole(world: World) -> Iterator[str]:
    """Of a batch all tasks were stored, or none."""
    rows = world.database.tables.tasks.rows.values()
    born = {str(task.spec.input["label"]) for task in rows}
    for labels in world.ledger.batches:
        there = [label for label in labels if label in born]
        if there and len(there) < len(labels):
            yield f"of the batch {', '.join(labels)} only {', '.join(there)} were stored"


def _is_claim(change: Change[Task]) -> bool:
    """Of a queued task, or of a new one that a worker takes along."""
    was_queued = change.before is None or change.before.state is TaskState.QUEUED
    return was_queued and change.after.state is TaskState.RUNNING


def _essence(task: Task) -> tuple[object, ...]:
    """All of a task but the hints."""
    return task.state, task.attempt, task.failures, task.worker_id, task.run_at, task.ended_at


def _named(task: Task) -> str:
    return f"task {task.spec.input.get('label')} ({task.id})"
