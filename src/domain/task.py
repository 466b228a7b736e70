"""A task: one call of a handler that must happen, and where it stands.

`TaskSpec` is what was asked for and never changes; `Task` adds the state. Everything that moves a
task is in `TRANSITIONS`; the methods below look up the event there and raise `IllegalTransition`
for a pair that is not in the table. Every transition makes a new `Task` whose version is one
higher, and a store accepts it only if the version it replaces is still the one it holds: that is
the fence which keeps a worker that was cut off from writing over its successor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType

from cueline.domain.copying import changed
from cueline.domain.errors import IllegalTransition
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId, TaskId, WorkerId
from cueline.domain.json import Json, JsonObject, same_json
from cueline.domain.retry import GiveUp, RetryPolicy

DEFAULT_QUEUE = "default"
FIRST_RECOVERY = timedelta(seconds=5)
LONGEST_RECOVERY = timedelta(minutes=5)


class Priority(IntEnum):
    """Which of two tasks that are both ready goes first: the lower number."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def label(self) -> str:
        """The name users write: `critical`, `high`, `normal` or `low`."""
        return self.name.lower()


class TaskState(StrEnum):
    """Where a task stands. A queued task whose run time is ahead is shown as *scheduled*."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the task by itself."""
        return self in _ENDED


class TaskEvent(StrEnum):
    """What can happen to a task. Failing and losing the worker are a retry or a fail, by policy."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    RETRY = "retry"
    FAIL = "fail"
    SNOOZE = "snooze"
    RELEASE = "release"
    CANCEL = "cancel"
    PROMOTE = "promote"
    REQUEUE = "requeue"


_ENDED = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED})

TRANSITIONS: Mapping[TaskState, Mapping[TaskEvent, TaskState]] = MappingProxyType(
    {
        TaskState.QUEUED: {
            TaskEvent.CLAIM: TaskState.RUNNING,
            TaskEvent.CANCEL: TaskState.CANCELLED,
            TaskEvent.PROMOTE: TaskState.QUEUED,
        },
        TaskState.RUNNING: {
            TaskEvent.SUCCEED: TaskState.SUCCEEDED,
            TaskEvent.RETRY: TaskState.QUEUED,
            TaskEvent.FAIL: TaskState.FAILED,
            TaskEvent.SNOOZE: TaskState.QUEUED,
            TaskEvent.RELEASE: TaskState.QUEUED,
            TaskEvent.CANCEL: TaskState.CANCELLED,
        },
        TaskState.SUCCEEDED: {},
        TaskState.FAILED: {TaskEvent.REQUEUE: TaskState.QUEUED},
        TaskState.CANCELLED: {TaskEvent.REQUEUE: TaskState.QUEUED},
    }
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The step of a run for which a task works."""

    run_id: RunId
    step: str
    purpose: Purpose = Purpose.WORK


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What was asked for. `timeout` limits each attempt; `key` makes a repeated submit the same."""

    id: TaskId
    name: str
    input: JsonObject
    created_at: datetime
    queue: str = DEFAULT_QUEUE
    priority: Priority = Priority.NORMAL
    retry: RetryPolicy = RetryPolicy()
    timeout: timedelta | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    origin: Origin | None = None

    def asks_the_same_as(self, other: TaskSpec) -> bool:
        """Whether a repeated key stands for a repeated request."""
        return self.name == other.name and same_json(self.input, other.input)


@dataclass(frozen=True, slots=True)
class Task:
    """A task and where it stands.

    `run_at` is when it may run; `dispatch_at`, when the dispatcher should next hand it to the
    broker (queued tasks only). `attempt` counts the claims and never falls. `failures` counts the
    attempts that are charged against the retry policy: a graceful release or a snooze is not.
    """

    spec: TaskSpec
    run_at: datetime
    dispatch_at: datetime | None
    state: TaskState = TaskState.QUEUED
    version: int = 1
    dispatches: int = 0
    attempt: int = 0
    failures: int = 0
    worker_id: WorkerId | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    output: Json = None
    failure: Failure | None = None

    @classmethod
    def submitted(cls, spec: TaskSpec, run_at: datetime) -> Task:
        """A new task, to run at `run_at` or as soon after as a worker is free."""
        return cls(spec=spec, run_at=run_at, dispatch_at=run_at)

    @property
    def id(self) -> TaskId:
        """The task's identifier."""
        return self.spec.id

    def is_ready(self, now: datetime) -> bool:
        """Whether a worker may claim the task now."""
        return self.state is TaskState.QUEUED and self.run_at <= now

    def is_scheduled(self, now: datetime) -> bool:
        """Whether the task is queued for a time that is still ahead."""
        return self.state is TaskState.QUEUED and self.run_at > now

    def claim(self, worker: WorkerId, now: datetime) -> Task:
        """A worker takes the task and begins an attempt."""
        return changed(
            self,
            state=self._after(TaskEvent.CLAIM),
            version=self.version + 1,
            attempt=self.attempt + 1,
            worker_id=worker,
            started_at=now,
            dispatch_at=None,
            dispatches=0,
        )

    def succeed(self, output: Json, now: datetime) -> Task:
        """The attempt brought a result."""
        return changed(
            self,
            state=self._after(TaskEvent.SUCCEED),
            version=self.version + 1,
            ended_at=now,
            output=output,
            failure=None,
        )

    def fail(self, failure: Failure, now: datetime, chance: float) -> Task:
        """The attempt failed, timed out or lost its worker: retry or end, as the policy decides."""
        failures = self.failures + 1
        decision = self.spec.retry.decide(failures, failure, chance)
        if isinstance(decision, GiveUp):
            return changed(
                self,
                state=self._after(TaskEvent.FAIL),
                version=self.version + 1,
                failures=failures,
                ended_at=now,
                failure=failure,
            )
        retried = self._back_in_queue(TaskEvent.RETRY, now + decision.delay)
        return changed(retried, failures=failures, failure=failure)

    def snooze(self, delay: timedelta, now: datetime) -> Task:
        """The handler asks to be called again later; the attempt is not charged."""
        return self._back_in_queue(TaskEvent.SNOOZE, now + delay)

    def release(self) -> Task:
        """A worker that shuts down gives the task back, uncharged; it keeps its place in line."""
        return self._back_in_queue(TaskEvent.RELEASE, self.run_at)

    def cancel(self, now: datetime) -> Task:
        """Nobody wants the result any more. A worker at it learns so from the fence."""
        return changed(
            self,
            state=self._after(TaskEvent.CANCEL),
            version=self.version + 1,
            ended_at=now,
            dispatch_at=None,
        )

    def promote(self, now: datetime) -> Task:
        """Run now instead of at the time that was set; one that is due keeps its place in line."""
        return self._back_in_queue(TaskEvent.PROMOTE, min(self.run_at, now))

    def requeue(self, now: datetime) -> Task:
        """Give an ended task a new life, with its whole retry policy before it."""
        revived = self._back_in_queue(TaskEvent.REQUEUE, now)
        return changed(revived, failures=0, failure=None, ended_at=None, output=None)

    def handed_to_broker(self, now: datetime) -> Task:
        """Set when to dispatch again, should the message be lost. Not a transition: a hint."""
        return changed(
            self,
            dispatch_at=now + recovery_delay(self.dispatches),
            dispatches=self.dispatches + 1,
        )

    def _after(self, event: TaskEvent) -> TaskState:
        try:
            return TRANSITIONS[self.state][event]
        except KeyError:
            raise IllegalTransition("task", self.id, self.state, event) from None

    def _back_in_queue(self, event: TaskEvent, run_at: datetime) -> Task:
        return changed(
            self,
            state=self._after(event),
            version=self.version + 1,
            run_at=run_at,
            dispatch_at=run_at,
            dispatches=0,
            worker_id=None,
            started_at=None,
        )


def recovery_delay(dispatches: int) -> timedelta:
    """How long a message may stay unanswered before the task is dispatched again; it doubles."""
    return min(FIRST_RECOVERY * (1 << min(dispatches, 16)), LONGEST_RECOVERY)
