"""Entities with defaults: a test says only what matters to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from cueline.application.ports.questions import Claimant
from cueline.domain.failure import Failure
from cueline.domain.identifiers import RunId, TaskId, WorkerId
from cueline.domain.json import Json, JsonObject
from cueline.domain.retry import RetryPolicy
from cueline.domain.task import DEFAULT_QUEUE, Origin, Priority, Task, TaskSpec, TaskState
from cueline.domain.worker import Worker, WorkerState
from cueline.domain.workflow.definition import Step, Workflow
from cueline.domain.workflow.run import Run
from tests.doubles import NOW, RisingIds

_ids = RisingIds()


def a_task_id() -> TaskId:
    """An id that no other task has."""
    return TaskId(_ids.new())


def a_task(
    *,
    state: TaskState = TaskState.QUEUED,
    id: TaskId | None = None,
    name: str = "send",
    input: JsonObject | None = None,
    queue: str = DEFAULT_QUEUE,
    priority: Priority = Priority.NORMAL,
    now: datetime = NOW,
    run_at: datetime | None = None,
    key: str | None = None,
    tags: tuple[str, ...] = (),
    retry: RetryPolicy | None = None,
    timeout: timedelta | None = None,
    origin: Origin | None = None,
    worker: str = "worker-1",
    output: Json = None,
) -> Task:
    """A task that came to its state in the ordinary way."""
    spec = TaskSpec(
        id=id or a_task_id(),
        name=name,
        input={"order": 7} if input is None else input,
        created_at=now,
        queue=queue,
        priority=priority,
        retry=retry or RetryPolicy(),
        timeout=timeout,
        key=key,
        tags=tags,
        origin=origin,
    )
    task = Task.submitted(spec, run_at or now)
    match state:
        case TaskState.QUEUED:
            return task
        case TaskState.CANCELLED:
            return task.cancel(now)
        case TaskState.RUNNING:
            return task.claim(WorkerId(worker), now)
        case TaskState.SUCCEEDED:
            return task.claim(WorkerId(worker), now).succeed(output, now)
        case TaskState.FAILED:
            failure = Failure("ValueError", "no", permanent=True)
            return task.claim(WorkerId(worker), now).fail(failure, now, 0.0)


def a_step(
    name: str = "first", *, task: str = "send", input: JsonObject | None = None, after: str = ""
) -> Step:
    """A step; `after` names the steps before it, divided by spaces."""
    return Step(name=name, task=task, input=input or {}, after=tuple(after.split()))


def a_workflow(
    *, name: str = "order", version: int = 1, steps: Sequence[Step] = (), output: Json = None
) -> Workflow:
    """A workflow, of one step unless steps are given."""
    return Workflow(name, version, tuple(steps) or (a_step(),), output)


def a_run(
    *,
    id: RunId | None = None,
    workflow: Workflow | None = None,
    input: Json = None,
    now: datetime = NOW,
    key: str | None = None,
) -> Run:
    """A run in which nothing has started."""
    return Run.of(id or RunId(_ids.new()), workflow or a_workflow(), input, now, key)


def a_claimant(
    worker: Worker,
    *,
    queues: Collection[str] | None = None,
    names: Collection[str] = ("send",),
) -> Claimant:
    """The worker as it claims: for its queues, with a handler for what `a_task` is called."""
    return Claimant(worker.id, worker.queues if queues is None else queues, names)


def a_worker(
    *,
    id: str | None = None,
    name: str = "host-1",
    queues: tuple[str, ...] = (DEFAULT_QUEUE,),
    slots: int = 4,
    now: datetime = NOW,
    state: WorkerState = WorkerState.LIVE,
) -> Worker:
    """A worker whose lease began at `now`."""
    worker = Worker.registered(WorkerId(id or _ids.new()), name, queues, slots, now)
    match state:
        case WorkerState.LIVE:
            return worker
        case WorkerState.STOPPED:
            return worker.stop()
        case WorkerState.LOST:
            return worker.evict(worker.lease_until)
