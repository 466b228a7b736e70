"""What clients asked for, and what they were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cueline.application.tasks import Submission, Submitted
from cueline.domain.errors import Conflict, CuelineError, KeyReused, NotFound, Unavailable
from cueline.domain.identifiers import RunId, TaskId
from cueline.domain.task import TaskSpec
from tests.simulation.chronicle import Chronicle


@dataclass(slots=True)
class Ledger:
    """Every request that was made, and every answer that came.

    A label stands for one wish: it is in the task's input, whoever asked and however often.
    """

    chronicle: Chronicle
    asked: dict[str, Submission] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    disputed: set[str] = field(default_factory=set)
    """Keys under which different things were asked for."""
    created: Counter[str] = field(default_factory=Counter)
    """How often a client was told that what it asked for is new, by key."""
    tasks: dict[str, TaskId] = field(default_factory=dict)
    keys: dict[str, TaskId] = field(default_factory=dict)
    runs: dict[str, RunId] = field(default_factory=dict)
    batches: list[tuple[str, ...]] = field(default_factory=list)
    cancelled: Counter[TaskId] = field(default_factory=Counter)
    """How often it was asked to cancel a task."""
    refused: list[str] = field(default_factory=list)
    """What was refused in a way that says that nothing was stored."""
    lies: list[str] = field(default_factory=list)
    """Answers that contradict earlier ones."""

    def asking(self, label: str, submission: Submission) -> None:
        """A client submits."""
        earlier = self.asked.setdefault(label, submission)
        if submission.key is not None and dict(earlier.input) != dict(submission.input):
            self.disputed.add(submission.key)
        self.calls[label] = self.calls.get(label, 0) + 1

    def answered(self, label: str, submission: Submission, answer: Submitted) -> None:
        """The client was told of a task that stands for what it asked."""
        task = answer.task
        if dict(task.spec.input) != dict(submission.input) or task.spec.name != submission.name:
            self.lies.append(f"{label} was answered with task {task.id}, which is another")
        if answer.created:
            self._check_spec(label, submission, task.spec)
            if task.run_at < task.spec.created_at + (submission.delay or timedelta(0)):
                self.lies.append(f"{label} is to run at {task.run_at}, sooner than asked for")
        elif submission.key is None:
            self.lies.append(f"{label} was answered as known, without a key")
        if submission.key is not None:
            self.created[submission.key] += answer.created
            if self.created[submission.key] > 1:
                self.lies.append(f"{label} was answered as new {self.created[label]} times")
            holder = self.keys.setdefault(submission.key, task.id)
            if holder != task.id:
                self.lies.append(f"key {submission.key} stands for {holder} and for {task.id}")
        elif self.tasks.get(label, task.id) != task.id:
            self.lies.append(f"{label} was submitted once and became two tasks")
        self.tasks[label] = task.id

    def _check_spec(self, label: str, asked: Submission, spec: TaskSpec) -> None:
        for wish in ("queue", "priority", "retry", "timeout", "key", "tags"):
            wanted, given = getattr(asked, wish), getattr(spec, wish)
            if wanted is not None and wanted != given:
                self.lies.append(f"{label} was to have {wish} {wanted}, and has {given}")

    def refusal(self, submissions: Sequence[Submission], error: CuelineError) -> None:
        """The client was told that its tasks are not stored, or that it is not known."""
        if isinstance(error, Unavailable):
            return
        labels = [str(submission.input["label"]) for submission in submissions]
        keys = {submission.key for submission in submissions}
        if not isinstance(error, KeyReused) or not keys & self.disputed:
            self.lies.append(f"{', '.join(labels)} was refused for no reason: {error!r}")
        self.refused += [label for label in labels if self.calls[label] == 1]

    def run_refusal(self, label: str, error: CuelineError) -> None:
        """The client was told that its run is not started."""
        reused = isinstance(error, KeyReused) and label in self.disputed
        if not reused and not isinstance(error, Unavailable):
            self.lies.append(f"run {label} was refused for no reason: {error!r}")

    def told(self, id: str, version: int, state: str) -> None:
        """Somebody was told where a task or run stands: it must have been so."""
        seen = self.chronicle.states.get((id, version))
        if seen != state:
            self.lies.append(f"{id}, version {version}, was told to be {state}, and was {seen}")

    def not_done(self, id: TaskId, moves: int, error: CuelineError) -> None:
        """An operator was told that a task cannot be moved, which has moved so often meanwhile."""
        if isinstance(error, NotFound):
            self.lies.append(f"task {id} is there and was not found")
        if type(error) is Conflict and "kept changing" in str(error) and moves < MOST_MOVES:
            self.lies.append(f"task {id} moved {moves} times, and was said to keep changing")


MOST_MOVES = 5
"""How often a task may move under the hands of an operator before that gives up."""
