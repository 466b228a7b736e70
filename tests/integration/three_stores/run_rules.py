"""What can be done with runs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from cueline.application.ports.persistence import UnitOfWork
from cueline.application.ports.questions import Page, RunFilter
from cueline.domain.errors import IllegalTransition
from cueline.domain.events import Event, Subject
from cueline.domain.failure import Failure
from cueline.domain.identifiers import Purpose, RunId
from cueline.domain.json import Json, JsonObject
from cueline.domain.workflow.advance import advance
from cueline.domain.workflow.messages import (
    Begin,
    CancelRun,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunInput,
    TaskCancelled,
    TaskFailed,
    TaskSucceeded,
)
from cueline.domain.workflow.run import Run, StepState
from tests.integration.three_stores import drawing as some
from tests.integration.three_stores.everything import by_id
from tests.integration.three_stores.machine import Machine


@dataclass(frozen=True)
class Happening:
    """Something that may happen to a run as it stands, and what goes with it."""

    choice: int
    output: Json
    failure: Failure

    def to(self, run: Run) -> RunInput:
        """What the run is told: how a task of its own ended, or a request."""
        if not run.events:
            return Begin()
        possible: list[RunInput] = []
        for step in run.steps.values():
            if step.in_flight:
                is_undone = step.state is StepState.COMPENSATING
                purpose = Purpose.UNDO if is_undone else Purpose.WORK
                possible.append(TaskSucceeded(step.name, purpose, self.output))
                possible.append(TaskFailed(step.name, purpose, self.failure))
                possible.append(TaskCancelled(step.name, purpose))
        possible += [PauseRun(), ResumeRun(), CancelRun(), RetryRun()]
        return possible[self.choice % len(possible)]


happenings = st.lists(
    st.builds(Happening, st.integers(0, 12), some.json_values, some.failures),
    min_size=1,
    max_size=5,
)


class RunRules(Machine):
    # --- changing ---------------------------------------------------------------------------------

    @initialize(run=some.runs)
    def begin_with_a_run(self, run: Run) -> None:
        self.add_runs([run])

    @rule(runs=st.lists(some.runs, max_size=3, unique_by=lambda run: run.id))
    def add_runs(self, runs: list[Run]) -> None:
        async def add(uow: UnitOfWork) -> tuple[set[RunId], list[Run]]:
            return await uow.runs.add_many(runs), await uow.runs.lock_many([run.id for run in runs])

        self.write(add)

    @rule(id=some.run_ids, happening=happenings)
    def advance_a_run(self, id: RunId, happening: list[Happening]) -> None:
        self._advance({id: happening})

    @rule(wanted=st.dictionaries(some.run_ids, happenings, min_size=1, max_size=3))
    def advance_runs(self, wanted: dict[RunId, list[Happening]]) -> None:
        self._advance(wanted)

    def _advance(self, wanted: dict[RunId, list[Happening]]) -> None:
        """Lock them, tell each what happened, keep what comes of it: as the application does."""
        self.now += timedelta(seconds=3)

        async def go_on(uow: UnitOfWork) -> list[Run]:
            locked = await uow.runs.lock_many(wanted)
            advanced = [self._told(run, wanted[run.id]) for run in locked]
            await uow.runs.save_many([run for run, _ in advanced])
            await uow.runs.append_history([fact for _, facts in advanced for fact in facts])
            return locked

        self.write(go_on)

    @rule(
        wanted=st.dictionaries(some.run_ids, happenings, min_size=1, max_size=3),
        are_old=st.booleans(),
    )
    def advance_supposed_runs(self, wanted: dict[RunId, list[Happening]], are_old: bool) -> None:
        """As `_advance`, but of runs that were only read; if they are old, they have moved on."""
        self.now += timedelta(seconds=3)

        async def go_on(uow: UnitOfWork) -> list[Run]:
            runs: list[Run] = by_id(await uow.runs.get_many(wanted))
            if are_old:
                runs = [replace(run, version=run.version - 1) for run in runs]
            await uow.runs.suppose(runs)
            advanced = [self._told(run, wanted[run.id]) for run in runs]
            await uow.runs.save_many([run for run, _ in advanced])
            await uow.runs.append_history([fact for _, facts in advanced for fact in facts])
            return runs

        self.write(go_on)

    def _told(self, run: Run, happenings: list[Happening]) -> tuple[Run, list[Event]]:
        facts: list[Event] = []
        for happening in happenings:
            with suppress(IllegalTransition):
                step = advance(run, happening.to(run), self.now)
                run = step.run
                facts += step.facts
        return run, facts

    @rule(
        id=some.run_ids,
        sequences=some.several(st.integers(100, 110)),
        moment=some.moments,
        data=some.json_objects,
    )
    def append_to_a_history(
        self, id: RunId, sequences: list[int], moment: datetime, data: JsonObject
    ) -> None:
        """There need not be a run of that id. A sequence that is taken is refused."""
        facts = [Event(Subject.RUN, id, number, "fact", moment, data) for number in sequences]
        self.write(lambda uow: uow.runs.append_history(facts))

    @rule(id=some.run_ids)
    def save_a_run_that_was_not_locked(self, id: RunId) -> None:
        async def save(uow: UnitOfWork) -> None:
            await uow.runs.save_many(await uow.runs.get_many([id]))

        self.write(save)

    # --- asking -----------------------------------------------------------------------------------

    @rule(
        ids=st.lists(some.run_ids, max_size=4),
        keys=st.lists(some.keys, max_size=4),
        after=st.sampled_from([0, 1, 2, 99, 105, 2**62]),
        wanted=some.run_filters,
        page=some.run_pages,
        inside=st.booleans(),
    )
    def get_and_list_runs(
        self,
        ids: list[RunId],
        keys: list[str],
        after: int,
        wanted: RunFilter,
        page: Page,
        inside: bool,
    ) -> None:
        """What is asked for twice is given once; after a page comes another."""

        async def get(uow: UnitOfWork) -> list[Any]:
            found = await uow.runs.search(wanted, page)
            further = replace(page, after=found[-1].id if found else page.after)
            return [
                by_id(await uow.runs.get_many(ids)),
                by_id(await uow.runs.by_keys(keys)),
                [await uow.runs.history(id, after, page.limit) for id in ids],
                found,
                await uow.runs.search(wanted, further),
            ]

        self.ask(get, inside=inside)
