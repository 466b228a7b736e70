"""I3, I4, I5, I12: what was executed, against what was claimed, given back, settled and logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cueline.domain.failure import Failure
from cueline.domain.identifiers import TaskId
from cueline.domain.task import Task, TaskState
from tests.simulation.database import Commit
from tests.simulation.handlers import Behaviour, Execution
from tests.simulation.violations import at_commit, at_end
from tests.simulation.world import World

ON_ITS_WAY = 5.0
"""How long log lines take at most to be written once nothing is wrong, in seconds."""


@at_commit("I5")
def fails_for_a_reason(commit: Commit) -> Iterator[str]:
    """An attempt fails as its handler was asked to, or because its time was up or its worker lost.

    Whoever invents failures would else pass for a workload in which much fails.
    """
    for record in commit.attempts:
        task = commit.state.tasks.rows[record.task_id]
        if record.failure is not None and not _is_to_expect(record.failure, record.number, task):
            name, reason = _named_task(task.spec.input), record.failure.summary
            yield f"{name}, attempt {record.number}, failed of {reason}"


def _is_to_expect(failure: Failure, attempt: int, task: Task) -> bool:
    behaviour = Behaviour.of(task.spec.input)
    match failure.type:
        case "WorkerLost":
            return True
        case "TimeoutError":
            return task.spec.timeout is not None
        case "RuntimeError":
            return attempt <= behaviour.fails
        case "ValueError":
            return behaviour.indigestible
        case _:
            return failure.permanent and behaviour.permanent


@at_end("I3")
def executes_what_it_claimed(world: World) -> Iterator[str]:
    """A handler is called for a claim that was committed, by the worker who made it, and once."""
    claims = world.chronicle.claims
    seen: set[tuple[TaskId, int]] = set()
    for execution in world.executions.all:
        claim = execution.task.id, execution.task.version
        if claims.get(claim) != execution.task.worker_id:
            yield f"{_named(execution)} was executed by {execution.host}, who had not claimed it"
        if claim in seen:
            yield f"{_named(execution)} was executed twice for one claim"
        seen.add(claim)


@at_end("I3")
def gives_back_what_it_has_stopped(world: World) -> Iterator[str]:
    """An attempt that was released was over by then, and had not come to its end."""
    for execution in world.executions.all:
        at = world.chronicle.released.get((execution.task.id, execution.task.attempt))
        if at is not None and (execution.over is None or execution.over > at):
            yield f"{_named(execution)} was given back by {execution.host}, and went on"
        if at is not None and execution.ended is not None:
            yield f"{_named(execution)} was given back by {execution.host}, though it was done"


@at_end("I4")
def successes_were_worked_for(world: World) -> Iterator[str]:
    """A task that succeeded was executed, by that very attempt."""
    done = {
        (execution.task.id, execution.task.attempt)
        for execution in world.executions.all
        if execution.ended is not None
    }
    for task in world.database.tables.tasks.rows.values():
        if task.state is TaskState.SUCCEEDED and (task.id, task.attempt) not in done:
            yield f"{_named_task(task.spec.input)} succeeded in attempt {task.attempt}: nobody's"


@at_end("I10")
def keeps_to_its_slots(world: World) -> Iterator[str]:
    """A worker executes no more at once than it has slots."""
    yield from world.executions.crowded


@at_end("I12")
def logs_are_kept(world: World) -> Iterator[str]:
    """What an attempt reported is in the journal soon after its worker has settled its success.

    The lines may be on their way by themselves when the success is settled.
    """
    tables = world.database.tables
    written = Counter((entry.task_id, entry.attempt) for _, entry in tables.logs.rows.values())
    alive = {process.name for process in world.processes.values() if not process.has_ended}
    for execution in world.executions.all:
        task, reports = execution.task, Behaviour.of(execution.task.spec.input).reports
        is_old = execution.ended is not None and execution.ended < world.loop.time() - ON_ITS_WAY
        if not is_old or execution.host not in alive or not reports:
            continue
        row = tables.tasks.rows[task.id]
        succeeded = row.state is TaskState.SUCCEEDED and row.attempt == task.attempt
        if succeeded and written[task.id, task.attempt] < reports:
            yield f"{_named(execution)} reported {reports} times, not all of which was written"


@at_end("I9")
def locks_are_taken_in_order(world: World) -> Iterator[str]:
    """No two transactions wait for one another in a circle, which the database would have to break.

    What is broken is tried again, so that nothing else here would notice.
    """
    if count := world.database.locks.deadlocks:
        yield f"{count} deadlocks had to be broken"


@at_end("I13")
def what_is_published_is_noted(world: World) -> Iterator[str]:
    """Nothing is handed to the broker unless it is noted when to do so again, should it be lost."""
    for id, count in world.chronicle.published.items():
        if count > world.chronicle.noted[id]:
            yield f"task {id} was published {count} times, noted {world.chronicle.noted[id]} times"


def _named(execution: Execution) -> str:
    task = execution.task
    return f"{_named_task(task.spec.input)}, attempt {task.attempt}, version {task.version},"


def _named_task(input: object) -> str:
    return f"task {input.get('label') if isinstance(input, dict) else input}"
