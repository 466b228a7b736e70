"""Queues over HTTP."""

from __future__ import annotations

from cueline.application.queries import QueueDetail
from cueline.interfaces.documents import fleet
from cueline.interfaces.rest.answers import Answer, answers
from cueline.interfaces.rest.documents import Links
from cueline.interfaces.rest.edge import PREFIX, App, a_router
from cueline.interfaces.rest.fields import NamePath
from cueline.interfaces.rest.pages import PageDocument, whole

router = a_router(f"{PREFIX}/queues", "queues")


class QueueDocument(fleet.QueueDocument):
    """A queue, how many tasks it has by state, and who serves it.

    `in_broker` is the number of messages with the broker, null while the broker does not answer.
    """

    links: Links


def queue_document(detail: QueueDetail) -> QueueDocument:
    """Show a queue."""
    name = detail.queue.name
    links = {"self": f"{PREFIX}/queues/{name}", "tasks": f"{PREFIX}/tasks?queue={name}"}
    return {**fleet.queue_document(detail), "links": links}


@router.get("", summary="List queues", responses=answers(PageDocument[QueueDocument]))
async def list_queues(app: App) -> Answer:
    """List every queue that has tasks, settings or workers, by name."""
    return Answer(whole([queue_document(detail) for detail in await app.queries.queues()]))


@router.get("/{name}", summary="Show a queue", responses=answers(QueueDocument))
async def show_queue(app: App, name: NamePath) -> Answer:
    """Show a queue."""
    return Answer(queue_document(await app.queries.queue(name)))


@router.post("/{name}/pause", summary="Pause a queue", responses=answers(QueueDocument))
async def pause_queue(app: App, name: NamePath) -> Answer:
    """Start nothing more from a queue; what is running goes on. Pausing twice is pausing once."""
    await app.queues.pause(name)
    return Answer(queue_document(await app.queries.queue(name)))


@router.post("/{name}/resume", summary="Resume a queue", responses=answers(QueueDocument))
async def resume_queue(app: App, name: NamePath) -> Answer:
    """Let a queue's tasks start again."""
    await app.queues.resume(name)
    return Answer(queue_document(await app.queries.queue(name)))
