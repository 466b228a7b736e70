"""Mistakes about runs: locking, telling them, and compensation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pytest

from cueline.application import settle as settling
from cueline.domain.task import Task, TaskState
from cueline.domain.workflow import advance as advancing
from cueline.domain.workflow import compensation as compensating
from cueline.domain.workflow.run import Run, RunState, StepRun, StepState
from cueline.infrastructure.memory.runs import MemoryRuns
from tests.simulation.mistakes import mistake

# --- runs -----------------------------------------------------------------------------------------


@mistake
def the_run_is_not_locked(patch: pytest.MonkeyPatch) -> None:
    """A run is advanced from a copy that was read without its lock."""
    from tests.simulation import connection

    locked = dict(connection.LOCKED)
    del locked["runs.lock_many"]
    patch.setattr(connection, "LOCKED", locked)


@mistake
def the_run_is_read_before(patch: pytest.MonkeyPatch) -> None:
    """A run is advanced from a copy that was read before the transaction began."""
    genuine = MemoryRuns.lock_many
    copies: dict[str, Run] = {}

    async def lock_many(self: MemoryRuns, ids: Collection[Any]) -> list[Run]:
        found = await genuine(self, ids)
        stale = [copies.get(run.id, run) for run in found]
        copies.update({run.id: run for run in found})
        return stale

    patch.setattr(MemoryRuns, "lock_many", lock_many)


@mistake
def a_remembered_run_is_taken_for_the_present_one(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether a run that is supposed to be so has moved on since."""

    async def suppose(self: MemoryRuns, runs: Sequence[Run]) -> None:
        self._locked.update(run.id for run in runs)

    patch.setattr(MemoryRuns, "suppose", suppose)


@mistake
def what_was_promised_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    """An optimistic commit keeps what it can, whatever has been said of the rest."""
    from tests.simulation import connection

    class Anything:
        def __ne__(self, other: object) -> bool:
            return False

    genuine = connection._InOneGo._carry_out

    async def carry_out(
        self: Any, name: str, operation: Callable[..., Any], args: Sequence[Any]
    ) -> Any:
        answer = await genuine(self, name, operation, args)
        return Anything() if name in connection.PROMISED else answer

    patch.setattr(connection._InOneGo, "_carry_out", carry_out)


@mistake
def the_run_hears_of_success_only(patch: pytest.MonkeyPatch) -> None:
    """A step's task that failed or was cancelled ends without its run being told."""
    genuine = settling._report

    def report(task: Task) -> Any:
        return genuine(task) if task.state is TaskState.SUCCEEDED else None

    patch.setattr(settling, "_report", report)


@mistake
def the_run_does_not_hear_of_lost_workers(patch: pytest.MonkeyPatch) -> None:
    """A step's task whose last attempt lost its worker fails without its run being told."""
    genuine = settling._report

    def report(task: Task) -> Any:
        lost = task.failure is not None and task.failure.type == "WorkerLost"
        return None if lost else genuine(task)

    patch.setattr(settling, "_report", report)


@mistake
def undone_in_forward_order(patch: pytest.MonkeyPatch) -> None:
    """Steps are undone in the order in which they were completed."""
    genuine = compensating.undo_order

    def undo_order(steps: Mapping[str, StepRun], definitions: Any) -> list[str]:
        return genuine(steps, definitions)[::-1]

    patch.setattr(advancing, "undo_order", undo_order)


@mistake
def undone_without_having_been_done(patch: pytest.MonkeyPatch) -> None:
    """Steps that failed are undone like those that were completed."""

    def undo_order(steps: Mapping[str, StepRun], definitions: Any) -> list[str]:
        wanted = (StepState.SUCCEEDED, StepState.FAILED)
        due = [s for s in steps.values() if s.state in wanted and definitions[s.name].compensate]
        due.sort(key=lambda step: step.completed or 0, reverse=True)
        return [step.name for step in due]

    from cueline.domain.workflow import run as running

    transitions = dict(running.STEP_TRANSITIONS)
    transitions[StepState.FAILED] = {
        **transitions[StepState.FAILED],
        running.StepEvent.UNDO: StepState.COMPENSATING,
        running.StepEvent.FAIL_UNDO: StepState.COMPENSATION_FAILED,
    }
    patch.setattr(running, "STEP_TRANSITIONS", transitions)
    patch.setattr(advancing, "undo_order", undo_order)


@mistake
def undone_beside_what_still_runs(patch: pytest.MonkeyPatch) -> None:
    """Compensation does not wait for the steps that are under way."""

    def go_on(self: Any, candidates: Iterable[str], broken: StepRun | None = None) -> None:
        if self.state is RunState.RUNNING:
            self._start_ready(candidates, broken)
        if self.state is RunState.COMPENSATING:
            self._compensate()

    patch.setattr(advancing._Advancing, "_go_on", go_on)


@mistake
def a_paused_run_goes_on(patch: pytest.MonkeyPatch) -> None:
    """A run that is paused starts what becomes ready; it only cannot end."""
    genuine = advancing._Advancing._go_on

    def go_on(self: Any, candidates: Iterable[str], broken: StepRun | None = None) -> None:
        genuine(self, candidates, broken)
        if self.state is RunState.PAUSED and self._first_broken() is None:
            for name in candidates:
                if self._is_ready(name):
                    self._start(name)

    patch.setattr(advancing._Advancing, "_go_on", go_on)
