"""Registering workflows, starting runs of them, and steering the runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from cueline.application.advancing import RunAdvancer, RunReport
from cueline.application.batching import GroupCommit
from cueline.application.catalogue import Catalogue
from cueline.application.changes import Announcer, Changes
from cueline.application.ports.persistence import Store, UnitOfWork
from cueline.application.ports.runtime import Clock, IdGenerator
from cueline.application.tasks import LONGEST_KEY
from cueline.domain.errors import (
    Conflict,
    DefinitionChanged,
    InvalidDefinition,
    InvalidInput,
    KeyReused,
    NotFound,
    Outdated,
    Problem,
)
from cueline.domain.identifiers import RunId, check_text
from cueline.domain.json import Json, require_json
from cueline.domain.workflow.definition import Workflow
from cueline.domain.workflow.document import same_workflow
from cueline.domain.workflow.messages import (
    Begin,
    CancelRun,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunInput,
)
from cueline.domain.workflow.run import Run


class RegisterWorkflows:
    """Makes workflow versions known. Registering the same again changes nothing."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    async def __call__(self, workflow: Workflow) -> bool:
        """Register a version; whether it is new.

        Raises `InvalidDefinition` when it uses tasks that nobody knows, and `DefinitionChanged`
        when the version is registered with another definition.
        """
        await self.check_tasks(workflow)
        async with self._store.write() as uow:
            if await uow.workflows.add(workflow):
                await uow.commit()
                return True
            known = await uow.workflows.get(workflow.name, workflow.version)
        if known is None or not same_workflow(known, workflow):
            raise DefinitionChanged(workflow.name, workflow.version)
        return False

    async def check_tasks(self, workflow: Workflow) -> None:
        """Raise `InvalidDefinition` naming every step whose task nobody knows."""
        known = await self._catalogue.names()
        problems = [
            Problem(where, f"no task is called {name!r}; known: {', '.join(known) or 'none'}")
            for where, name in workflow.tasks
            if name not in known
        ]
        if problems:
            raise InvalidDefinition(f"workflow {workflow.name!r} cannot run", problems)


@dataclass(frozen=True, slots=True)
class Start:
    """A request for a run of a workflow."""

    workflow: Workflow
    input: Json
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The run that stands for a request; `created` is False if a key brought an earlier one."""

    run: Run
    created: bool


class StartRuns:
    """Starts runs, all or none: the runs and their first tasks are one transaction."""

    def __init__(
        self,
        store: Store,
        register: RegisterWorkflows,
        advancer: RunAdvancer,
        announcer: Announcer,
        clock: Clock,
        ids: IdGenerator,
    ) -> None:
        self._store = store
        self._register = register
        self._advancer = advancer
        self._announcer = announcer
        self._clock = clock
        self._ids = ids
        self._together = GroupCommit[Start, Started](self, MOST_TOGETHER)

    async def one(self, start: Start) -> Started:
        """Start a run, in a transaction shared with others that arrive at the same time."""
        return await self._together(start)

    async def find(self, name: str, version: int | None = None) -> Workflow:
        """A registered workflow, the latest version unless one is named, or `NotFound`."""
        async with self._store.read() as uow:
            found = (
                await uow.workflows.latest(name)
                if version is None
                else await uow.workflows.get(name, version)
            )
            known = {} if found else {flow.name: None for flow in await uow.workflows.list_all()}
        if found is not None:
            return found
        label = name if version is None else f"{name} version {version}"
        raise NotFound("workflow", label, f"known: {', '.join(known) or 'none'}")

    async def inline(self, workflow: Workflow) -> Workflow:
        """Check a workflow that came with the request and is not registered."""
        await self._register.check_tasks(workflow)
        return workflow

    async def __call__(self, starts: Sequence[Start]) -> list[Started]:
        """Start runs; the answers are in order. A reused key raises `KeyReused`."""
        wanted = [self._run(start) for start in starts]
        with suppress(Outdated):
            if (started := await self._start(self._store.optimistic(), wanted)) is not None:
                return started
        for _ in range(_TRIES):
            if (started := await self._start(self._store.write(), wanted)) is not None:
                return started
        raise Conflict("another process kept using the same keys at the same moment; try again")

    async def _start(self, unit: UnitOfWork, wanted: Sequence[Run]) -> list[Started] | None:
        """Try once; None if another process used a key just now: its run answers next time."""
        now = self._clock.now()
        changes = Changes()
        queues = await self._advancer.first_queues(run.workflow for run in wanted)
        await self._announcer.prepare(queues)
        async with unit as uow:
            holders = await self._holders(uow, wanted)
            runs = {run.id: run for run in wanted if holders[run.id].id == run.id}
            begun = [RunReport(id, Begin()) for id in runs]
            starts = await self._advancer.advance(uow, runs, begun, now, changes)
            if len(await uow.runs.add_many(list(runs.values()))) < len(runs):
                return None
            await self._advancer.start(uow, starts, now, changes)
            await uow.commit()
        await self._announcer.announce(changes)
        return [
            Started(runs.get(holder.id, holder), created=run.id == holder.id)
            for run in wanted
            for holder in (holders[run.id],)
        ]

    @staticmethod
    async def _holders(uow: UnitOfWork, wanted: Sequence[Run]) -> dict[RunId, Run]:
        """For each run the one that answers for it: itself, or the one that has its key."""
        keys = {run.key for run in wanted if run.key is not None}
        known = {run.key: run for run in await uow.runs.by_keys(keys)} if keys else {}
        holders: dict[RunId, Run] = {}
        for run in wanted:
            holder = run if run.key is None else known.setdefault(run.key, run)
            if not holder.asks_the_same_as(run):
                raise KeyReused(run.key or "", f"run {holder.id}")
            holders[run.id] = holder
        return holders

    def _run(self, start: Start) -> Run:
        require_json(start.input, "input")
        if start.key is not None and (problem := check_text(start.key, "key", LONGEST_KEY)):
            raise InvalidInput("the run cannot be started so", [problem])
        now = self._clock.now()
        return Run.of(RunId(self._ids.new()), start.workflow, start.input, now, start.key)


MOST_TOGETHER = 100
"""How many runs that are asked for one by one are started in one transaction."""

_TRIES = 3
"""How often a start is tried when its key is used elsewhere at the same moment."""


class SteerRuns:
    """What an operator does to a run. A request that its state does not allow is refused."""

    def __init__(
        self, store: Store, advancer: RunAdvancer, announcer: Announcer, clock: Clock
    ) -> None:
        self._store = store
        self._advancer = advancer
        self._announcer = announcer
        self._clock = clock

    async def cancel(self, id: RunId) -> Run:
        """Stop what is under way, undo what was done, and end as cancelled."""
        return await self._tell(id, CancelRun())

    async def pause(self, id: RunId) -> Run:
        """Start no further step until resumed."""
        return await self._tell(id, PauseRun())

    async def resume(self, id: RunId) -> Run:
        """Go on after a pause."""
        return await self._tell(id, ResumeRun())

    async def retry(self, id: RunId) -> Run:
        """Try again what failed: the steps of a failed run, or the undo that failed."""
        return await self._tell(id, RetryRun())

    async def _tell(self, id: RunId, event: RunInput) -> Run:
        now = self._clock.now()
        changes = Changes()
        async with self._store.write() as uow:
            runs = {run.id: run for run in await uow.runs.lock_many([id])}
            if id not in runs:
                raise NotFound("run", id)
            reports = [RunReport(id, event)]
            starts = await self._advancer.advance(uow, runs, reports, now, changes)
            await uow.runs.save_many([runs[id]])
            await self._advancer.start(uow, starts, now, changes)
            await uow.commit()
        await self._announcer.announce(changes)
        return runs[id]
