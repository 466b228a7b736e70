"""I6 to I8 and I12: what must hold of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cueline.domain.events import Event
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, TaskId, step_task_id
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow.run import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    Run,
    RunState,
    StepEvent,
    StepRun,
    StepState,
)
from tests.simulation.database import Change, Commit, Isolation
from tests.simulation.shapes import is_unfit
from tests.simulation.violations import at_commit, at_end
from tests.simulation.world import World

TOLD: Mapping[str, StepEvent] = {
    "step.started": StepEvent.START,
    "step.succeeded": StepEvent.SUCCEED,
    "step.failed": StepEvent.FAIL,
    "step.cancelled": StepEvent.CANCEL,
    "step.reset": StepEvent.RESET,
    "step.compensating": StepEvent.UNDO,
    "step.compensated": StepEvent.UNDONE,
    "step.compensation_failed": StepEvent.FAIL_UNDO,
}
"""What the history calls each event of a step."""

_OPEN, _SUCCEEDED, _ENDED = "is under way", "has succeeded", "has ended or never was"


@at_commit("I3")
def is_fenced(commit: Commit) -> Iterator[str]:
    """A run's version rises whenever it changes."""
    for change in commit.runs:
        before, after = change.before, change.after
        if before is not None and after.version <= before.version:
            yield f"{_named(after)} went from version {before.version} to {after.version}"


@at_commit("I12")
def history_leads_to_the_row(commit: Commit) -> Iterator[str]:
    """What a commit adds to a history leads from the run as it was to the run as it is."""
    told: dict[str, list[Event]] = {}
    for event in commit.history:
        told.setdefault(event.id, []).append(event)
    for change in commit.runs:
        events = sorted(told.pop(change.after.id, []), key=lambda event: event.sequence)
        yield from _fold(change, events)
    for id in told:
        yield f"the history of run {id} grew, and the run did not change"


def _fold(change: Change[Run], events: list[Event]) -> Iterator[str]:
    before, after = change.before, change.after
    known = before.events if before is not None else 0
    if [event.sequence for event in events] != list(range(known + 1, after.events + 1)):
        yield f"{_named(after)} has events up to {after.events}, of which some are missing"
        return
    state = before.state if before is not None else RunState.RUNNING
    steps = dict.fromkeys(after.steps, StepState.WAITING)
    if before is not None:
        steps = {name: step.state for name, step in before.steps.items()}
    for event in events:
        if event.type in TOLD:
            name = str(event.data["step"])
            following = STEP_TRANSITIONS[steps[name]].get(TOLD[event.type])
            if following is None:
                yield f"step {name} of {_named(after)} is {steps[name]}, and {event.type}"
                return
            steps[name] = following
        elif event.type != "run.started":
            following_state = RunState(event.type.removeprefix("run."))
            if following_state not in RUN_TRANSITIONS[state].values():
                yield f"{_named(after)} went from {state} to {following_state}"
            state = following_state
    if state is not after.state or steps != {n: step.state for n, step in after.steps.items()}:
        yield f"the history of {_named(after)} does not lead to its row"


@at_commit("I7")
def starts_what_is_ready(commit: Commit) -> Iterator[str]:
    """A step's task is made only when all that it needs has succeeded, and for one run's step.

    Nor is one made, or given a new life, for a run that does not go on, or is not being undone.
    """
    for change in commit.tasks:
        task, origin = change.after, change.after.spec.origin
        is_new = change.before is None or (change.before.state.ended and not task.state.ended)
        if not is_new or origin is None:
            continue
        run = commit.state.runs.rows.get(origin.run_id)
        if run is None:
            yield f"task {task.id} belongs to no run"
            continue
        does = origin.purpose is Purpose.WORK
        if run.state is not (RunState.RUNNING if does else RunState.COMPENSATING):
            yield f"step {origin.step} of {_named(run)}, which is {run.state}: {origin.purpose}"
        if task.id != step_task_id(run.id, origin.step, origin.purpose):
            yield f"task {task.id} is a second one for step {origin.step} of {_named(run)}"
        elif does:
            needs = run.workflow.needs[origin.step]
            missing = [name for name in sorted(needs) if not run.steps[name].is_done]
            if missing:
                yield f"step {origin.step} of {_named(run)} began without {', '.join(missing)}"


@at_commit("I7")
def asks_what_the_workflow_says(commit: Commit) -> Iterator[str]:
    """A step's task, or its undo's, is what the definition asks for."""
    for change in commit.tasks:
        spec = change.after.spec
        if change.before is not None or spec.origin is None:
            continue
        step = commit.state.runs.rows[spec.origin.run_id].workflow.by_name[spec.origin.step]
        undoes = spec.origin.purpose is Purpose.UNDO
        if is_unfit(step.name):
            yield f"task {spec.id} of step {step.name} was made, though its input does not fit"
        call = step.compensate if undoes and step.compensate is not None else step
        wishes: list[tuple[object, object]] = [
            (call.task, spec.name),
            (call.retry, spec.retry),
            (call.timeout, spec.timeout),
        ]
        if not undoes:
            wishes += [(step.priority, spec.priority), (step.queue, spec.queue)]
        for wanted, given in wishes:
            if wanted is not None and wanted != given:
                yield f"task {spec.id} of step {step.name} was to have {wanted}, and has {given}"


@at_commit("I7")
def forgets_no_step(commit: Commit) -> Iterator[str]:
    """A run that goes on has started all that is ready, and has broken with none of its steps."""
    for change in commit.runs:
        run = change.after
        if run.state is not RunState.RUNNING:
            continue
        for step in run.steps.values():
            needs = run.workflow.needs[step.name]
            waits = step.state is StepState.WAITING
            if waits and all(run.steps[name].is_done for name in needs):
                yield f"{_named(run)} goes on, and {step.name} is ready and not started"
            if step.is_broken:
                yield f"{_named(run)} goes on, though {step.name} is {step.state}"


@at_commit("I7")
def retries_what_has_failed(commit: Commit) -> Iterator[str]:
    """A run that is tried again tries again each of the steps that had broken."""
    for change in commit.runs:
        before, run = change.before, change.after
        if before is None or before.state is not RunState.FAILED:
            continue
        reset = {
            fact.data["step"]
            for fact in commit.history
            if fact.id == run.id and fact.type == "step.reset"
        }  # a step that cannot begin breaks again at once, and at the same moment looks the same
        for step in before.steps.values():
            if step.is_broken and step.name not in reset and run.steps[step.name] == step:
                yield f"{_named(run)} was tried again, and {step.name} is still {step.state}"


@at_commit("I7")
def counts_its_steps(commit: Commit) -> Iterator[str]:
    """The counters of a run are what counting would bring."""
    for change in commit.runs:
        run = change.after
        steps = run.steps.values()
        active = sum(step.in_flight for step in steps)
        remaining = sum(not step.is_done for step in steps)
        completed = sorted(step.completed for step in steps if step.completed is not None)
        if (run.active, run.remaining) != (active, remaining):
            yield (
                f"{_named(run)} counts {run.active} active and {run.remaining} remaining steps, "
                f"not {active} and {remaining}"
            )
        if len(set(completed)) < len(completed) or run.completions < max(completed, default=0):
            yield f"{_named(run)} has numbered its steps {completed}, up to {run.completions}"
        if run.state in (RunState.RUNNING, RunState.COMPENSATING) and not active:
            yield f"{_named(run)} is {run.state}, and nothing is under way"


@at_commit("I7")
def withdraws_what_it_must(commit: Commit) -> Iterator[str]:
    """A failure takes back what waits, a cancellation also what runs; neither more than that.

    Where writers run side by side, a task that is claimed at this very moment is left to report.
    """
    for change in commit.runs:
        before, run = change.before, change.after
        if before is None or run.state is not RunState.COMPENSATING or before.state is run.state:
            continue
        works = [each for each in commit.tasks if _works_for(run, each.after)]
        broken_off = [each for each in works if _is_broken_off(each)]
        settled = any(each.after.state in _OUTCOMES for each in works)
        if not run.cancelled and len(broken_off) > (not settled):  # an operator may cancel one
            yield f"{_named(run)} failed and broke off {[each.after.id for each in broken_off]}"
        if commit.isolation is Isolation.READ_COMMITTED or before.state.ended:
            continue
        for name in run.steps:
            task = commit.state.tasks.rows.get(step_task_id(run.id, name, Purpose.WORK))
            if task is not None and (
                task.state is TaskState.QUEUED
                or (run.cancelled and task.state is TaskState.RUNNING)
            ):
                yield f"{_named(run)} has come to its end, and step {name} is {task.state}"


_OUTCOMES = (TaskState.SUCCEEDED, TaskState.FAILED)


def _works_for(run: Run, task: Task) -> bool:
    origin = task.spec.origin
    return origin is not None and origin.run_id == run.id and origin.purpose is Purpose.WORK


def _is_broken_off(change: Change[Task]) -> bool:
    """Whether it was cancelled while it ran; not after it had failed in the same commit."""
    before, after = change.before, change.after
    return (
        before is not None
        and before.state is TaskState.RUNNING
        and after.state is TaskState.CANCELLED
        and after.version == before.version + 1
    )


@at_commit("I7")
def agrees_with_its_tasks(commit: Commit) -> Iterator[str]:
    """What a run believes of a step is what the step's tasks say."""
    tasks = commit.state.tasks.rows
    for changed in commit.runs:
        for step in changed.after.steps.values():
            yield from _disagreement(changed.after, step, tasks)
    for change in commit.tasks:
        origin = change.after.spec.origin
        if origin is not None and (run := commit.state.runs.rows.get(origin.run_id)) is not None:
            yield from _disagreement(run, run.steps[origin.step], tasks)


def _disagreement(run: Run, step: StepRun, tasks: Mapping[TaskId, Task]) -> Iterator[str]:
    task = tasks.get(step_task_id(run.id, step.name, Purpose.WORK))
    work = _standing(task)
    undo = _standing(tasks.get(step_task_id(run.id, step.name, Purpose.UNDO)))
    wanted_work, wanted_undo = _SUCCEEDED, _ENDED
    match step.state:
        case StepState.WAITING | StepState.FAILED | StepState.CANCELLED:
            wanted_work = _ENDED
        case StepState.RUNNING:
            wanted_work = _OPEN
        case StepState.COMPENSATING:
            wanted_undo = _OPEN
        case StepState.COMPENSATED:
            wanted_undo = _SUCCEEDED
        case StepState.SUCCEEDED | StepState.COMPENSATION_FAILED:
            pass
    if work != wanted_work:
        yield f"step {step.name} of {_named(run)} is {step.state}, and its task {work}"
    if undo != wanted_undo:
        yield f"step {step.name} of {_named(run)} is {step.state}, and its undo {undo}"
    if task is not None and work == wanted_work == _SUCCEEDED and step.output != task.output:
        yield f"step {step.name} of {_named(run)} has another output than its task"
    if step.state is StepState.FAILED and step.failure != _failure_of(task, step):
        yield f"step {step.name} of {_named(run)} failed of {step.failure}, and its task did not"

    if step.state is StepState.COMPENSATION_FAILED and undo == wanted_undo:
        made = tasks.get(step_task_id(run.id, step.name, Purpose.UNDO))
        if made is None or (made.state is TaskState.FAILED and made.failure != step.failure):
            yield f"the undo of step {step.name} of {_named(run)} failed of {step.failure}, alone"


def _failure_of(task: Task | None, step: StepRun) -> Failure | None:
    """What a step may have failed of: what its task did, or else an input that cannot be used."""
    if task is not None and task.state is TaskState.FAILED:
        return task.failure
    return step.failure if task is None and is_unfit(step.name) else None


def _standing(task: Task | None) -> str:
    if task is None:
        return _ENDED
    if task.state is TaskState.SUCCEEDED:
        return _SUCCEEDED
    return _ENDED if task.state.ended else _OPEN


@at_commit("I8")
def undoes_in_reverse(commit: Commit) -> Iterator[str]:
    """A step is undone only if it was completed, and after all that were completed later."""
    for change in commit.tasks:
        origin = change.after.spec.origin
        if change.before is not None or origin is None or origin.purpose is not Purpose.UNDO:
            continue
        run = commit.state.runs.rows[origin.run_id]
        mine = run.steps[origin.step].completed
        if mine is None:
            yield f"step {origin.step} of {_named(run)} is undone and was never completed"
            continue
        for step in _compensable(run):
            later = step.completed is not None and step.completed > mine
            if later and step.state is not StepState.COMPENSATED:
                yield f"{origin.step} of {_named(run)} is undone before {step.name}"


@at_commit("I8")
def undoes_one_at_a_time(commit: Commit) -> Iterator[str]:
    """While a step is undone nothing else of its run is under way."""
    for change in commit.runs:
        busy = [step for step in change.after.steps.values() if step.in_flight]
        if len(busy) > 1 and any(step.state is StepState.COMPENSATING for step in busy):
            yield f"{_named(change.after)}: {', '.join(f'{s.name} is {s.state}' for s in busy)}"


@at_commit("I8")
def undoes_all_or_nothing(commit: Commit) -> Iterator[str]:
    """How a run ends agrees with what was completed and what was undone."""
    for change in commit.runs:
        run = change.after
        if not run.state.ended:
            continue
        standing = [step.name for step in _compensable(run) if step.state is StepState.SUCCEEDED]
        undone = [s.name for s in run.steps.values() if s.state is StepState.COMPENSATED]
        busy = [step.name for step in run.steps.values() if step.in_flight]
        broken = any(s.state is StepState.COMPENSATION_FAILED for s in run.steps.values())
        if busy:
            yield f"{_named(run)} is {run.state} with {', '.join(busy)} under way"
        match run.state:
            case RunState.SUCCEEDED if undone or not all(s.is_done for s in run.steps.values()):
                yield f"{_named(run)} succeeded, though not in every step"
            case RunState.COMPENSATED | RunState.CANCELLED | RunState.FAILED if standing or broken:
                yield f"{_named(run)} is {run.state}, and {', '.join(standing)} is not undone"
            case RunState.FAILED if undone:
                yield f"{_named(run)} is said to have failed, and {', '.join(undone)} is undone"
            case RunState.COMPENSATION_FAILED if not broken:
                yield f"{_named(run)} is {run.state}, and every undo went well"
            case _:
                pass
        yield from _misremembered(run)


def _misremembered(run: Run) -> Iterator[str]:
    """Why a run has ended is what was asked of it, or what became of its steps."""
    succeeded = run.state is RunState.SUCCEEDED
    if run.cancelled != (run.state is RunState.CANCELLED) and (
        run.state is not RunState.COMPENSATION_FAILED
    ):
        yield f"{_named(run)} is {run.state}; cancelled: {run.cancelled}"
    if run.ended_at is None:
        yield f"{_named(run)} is {run.state} and has no end"
    if not run.cancelled and succeeded != (run.failure is None):
        yield f"{_named(run)} is {run.state}, and its failure is {run.failure}"
    if succeeded and any(step.failure is not None for step in run.steps.values()):
        yield f"{_named(run)} succeeded, and remembers failures of its steps"


def _compensable(run: Run) -> Iterator[StepRun]:
    for step in run.steps.values():
        if run.workflow.by_name[step.name].compensate is not None:
            yield step


@at_end("I1")
def runs_are_kept(world: World) -> Iterator[str]:
    """A run that was acknowledged is there, once for its key."""
    rows = world.database.tables.runs.rows
    for label, id in world.ledger.runs.items():
        if id not in rows:
            yield f"run {label} was acknowledged as {id} and is lost"
    keys = [run.key for run in rows.values()]
    for key in {key for key in keys if keys.count(key) > 1}:
        yield f"key {key} has several runs"


@at_end("I12")
def histories_are_whole(world: World) -> Iterator[str]:
    """Each run has the events that it counted."""
    tables = world.database.tables
    told: dict[str, int] = {}
    for run_id, _ in tables.history.rows:
        told[run_id] = told.get(run_id, 0) + 1
    for run in tables.runs.rows.values():
        if told.get(run.id, 0) != run.events:
            yield f"{_named(run)} counted {run.events} events and has {told.get(run.id, 0)}"


def _named(run: Run) -> str:
    return f"run {run.key} ({run.id})"
