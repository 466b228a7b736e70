"""One life of a process: a worker, a dispatcher and a client in one, armed to die at one point."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop
from dependency_injector import providers

from cueline.application import workflows
from cueline.application.application import Application
from cueline.application.ports.questions import Page, TaskFilter
from cueline.container import Container
from cueline.domain.identifiers import RunId
from cueline.domain.task import TaskState
from cueline.loading import load_settings
from cueline.runtime import serve
from cueline.settings import Role
from tests.integration.failpoints import shop
from tests.integration.failpoints.points import Failpoint, Fuse
from tests.integration.failpoints.records import Answered, Asked, Record
from tests.integration.failpoints.watched import watch

log = logging.getLogger(__name__)

LOOK_INTERVAL = 0.1
"""How often a life looks whether everything has come to its end, in seconds."""

FIRST_RECOVERY, LONGEST_RECOVERY = timedelta(seconds=1), timedelta(seconds=2)
"""When a task whose message was lost is dispatched again. In production it is 5 s, and doubles."""

UNENDED = (TaskState.QUEUED, TaskState.RUNNING)

FLOP = 3
"""The exit code of a life that did not come to an end in time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a life is for."""

    name: str
    folder: Path
    settings: Mapping[str, Any]
    wishes: Mapping[str, shop.Wish]
    armed: Failpoint | None = None
    patience: float = 60.0

    @property
    def record(self) -> Path:
        """Where the life leaves its entries."""
        return self.folder / f"{self.name}.record"


def live(plan: Plan) -> None:
    """Ask for what is wished for, work until all is done, and stop; unless death comes before."""
    logging.basicConfig(level=logging.WARNING, format=f"{plan.name} %(message)s")
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_live(plan))


async def _live(plan: Plan) -> None:
    record = Record(plan.record)
    shop.DESK.append(record)
    flow = shop.app.workflow(f"of-{plan.name}", version=1)  # so that each life registers one
    flow.step("only", shop.work, label=plan.name)
    fuse = Fuse(plan.armed, record)
    client = Client(plan.wishes, record)

    def container(**given: Any) -> Container:
        client.container = Container(**given)
        watch(client.container, fuse, plan.name)
        # No handler here uses it, and the certificates that it would load take a sixth of a life.
        client.container.http.override(providers.Object(nullcontext()))
        return client.container

    settings = load_settings(
        **plan.settings,
        roles=(Role.WORKER, Role.DISPATCHER, Role.SCHEDULER),
        lease="2s",
        grace=5,
        store_connections=3,
    )
    with (
        patch("cueline.runtime.Container", container),
        patch("cueline.domain.task.FIRST_RECOVERY", FIRST_RECOVERY),
        patch("cueline.domain.task.LONGEST_RECOVERY", LONGEST_RECOVERY),
    ):
        try:
            async with asyncio.timeout(plan.patience):
                await serve(settings, shop.app, client.content, opened=client.begin)
        except TimeoutError as error:
            raise TimeoutError(f"it found no rest: {client.unrest}") from error
    await client.work


class Client:
    """Asks for what is wished for, and is content when nothing is left to do."""

    container: Container
    work: asyncio.Task[None]

    def __init__(self, wishes: Mapping[str, shop.Wish], record: Record) -> None:
        self.content = asyncio.Event()
        self.unrest = ""
        self._wishes = wishes
        self._record = record

    def begin(self, application: Application) -> None:
        """Go to work, now that the application is open."""
        self.work = asyncio.create_task(self._run(application), name="client")

    async def _run(self, application: Application) -> None:
        try:
            async with asyncio.TaskGroup() as together:
                for label, wish in self._wishes.items():
                    if isinstance(wish, shop.Submit):
                        together.create_task(self._submit(application, label, wish))
            for label, wish in self._wishes.items():
                if isinstance(wish, shop.Start):
                    await self._start(application, label, wish)
            while not await self._all_is_quiet():  # noqa: ASYNC110  # it takes asking the store
                await asyncio.sleep(LOOK_INTERVAL)
        finally:
            self.content.set()

    async def _submit(self, application: Application, label: str, wish: shop.Submit) -> None:
        self._record.add(Asked(label))
        self._record.add(Answered(label, await application.submit.one(wish.submission)))

    async def _start(self, application: Application, label: str, wish: shop.Start) -> None:
        self._record.add(Asked(label))
        workflow = await application.start.find(wish.workflow)
        start = workflows.Start(workflow, {"label": label}, key=label)
        [started] = await application.start([start])
        self._record.add(Answered(label, RunId(started.run.id)))

    async def _all_is_quiet(self) -> bool:
        """Whether nothing is left to do, and nobody but this worker counts as live."""
        now = self.container.clock().now()
        async with self.container.store().read() as uow:
            waiting = await uow.tasks.search(TaskFilter(UNENDED), Page(5), now)
            live = await uow.workers.live()
        self.unrest = f"{waiting}, workers {[worker.id for worker in live]}"
        return not waiting and len(live) == 1


def end_in_time(plan: Plan) -> None:
    """`live`, and the end of the process whatever comes of it."""
    try:
        live(plan)
    except BaseException:
        log.exception("life %s did not end well", plan.name)
        os._exit(FLOP)
    os._exit(0)
