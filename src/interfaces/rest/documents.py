"""Documents of tasks as REST shows them: with links; and its answers to submissions."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from cueline.application.queries import TaskDetail
from cueline.application.tasks import Submitted
from cueline.domain.task import Task
from cueline.interfaces.documents import tasks
from cueline.interfaces.documents.states import shown_state
from cueline.interfaces.rest.edge import PREFIX

Links = dict[str, str]


class TaskDocument(tasks.TaskDocument):
    """A task and where it stands."""

    links: Links


class ReceiptDocument(TypedDict):
    """The answer to a submission. `created` is false when a key brought an earlier task."""

    id: str
    state: str
    created: bool
    links: Links


class ReceiptsDocument(TypedDict):
    """The answers to a batch, in its order."""

    items: list[ReceiptDocument]


class ExplanationDocument(TypedDict):
    """Why a task is where it is, the most telling reason first."""

    id: str
    reasons: list[str]


def task_document(detail: TaskDetail) -> TaskDocument:
    """Show a task."""
    return {**tasks.task_document(detail), "links": task_links(detail.task)}


def task_links(task: Task) -> Links:
    """Where to go from a task."""
    here = f"{PREFIX}/tasks/{task.id}"
    links = {
        "self": here,
        "attempts": f"{here}/attempts",
        "logs": f"{here}/logs",
        "explain": f"{here}/explain",
        "events": f"{here}/events",
    }
    if task.spec.origin is not None:
        links["run"] = f"{PREFIX}/runs/{task.spec.origin.run_id}"
    return links


def receipt_document(submitted: Submitted, now: datetime) -> ReceiptDocument:
    """Confirm a submission."""
    task = submitted.task
    return {
        "id": task.id,
        "state": shown_state(task, now),
        "created": submitted.created,
        "links": task_links(task),
    }
